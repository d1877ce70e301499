// What a drive is computed from: the weights of its layer, and the hidden states that it reads.
import type { Trace } from '../data/trace'
import { contributions, type Contributions, layersRead } from '../model/contributions'
import type { Picture } from '../model/picture'
import type { Source } from '../data/source'
import { Answers } from './answers.svelte'
import { LayerWeights } from './layer-weights.svelte'

interface Hidden {
  layers: string[]
  traces: Trace[]
}

export class DriveOrigins {
  readonly #weights: LayerWeights
  readonly #hidden = new Answers<Hidden>()

  constructor(private readonly source: Source) {
    this.#weights = new LayerWeights(source)
  }

  get problem(): string | null {
    return this.#weights.problem ?? this.#hidden.problem
  }

  /** Load what the parts of a drive of a picture are computed from, unless it is loaded. */
  load(picture: Picture, drive: string): void {
    const { run, layer, text, checkpoint, holds, generation } = picture
    this.#weights.load(run, layer.name, checkpoint)
    const layers = layersRead(run, layer, drive)
    const key = JSON.stringify([run.name, layers, text, checkpoint, holds, generation])
    this.#hidden.request(key, async () => ({
      layers,
      traces: await Promise.all(layers.map((name) => this.#traceOf(picture, name))),
    }))
  }

  /** Return the largest parts of a drive of a picture; null until everything is loaded. */
  parts(picture: Picture, drive: string, neuron: number, step: number, most: number): Contributions | null {
    const [weights, hidden] = [this.#weights.value, this.#hidden.value]
    const { layer, trace } = picture
    const isLoaded = weights && hidden && !this.#weights.busy && !this.#hidden.busy
    if (!isLoaded) return null
    return contributions(
      { layer, drive, neuron, step, trace, weights, hidden: hidden.traces, layers: hidden.layers },
      most,
    )
  }

  /** Return a trace with the hidden states of a layer: that of the picture, if it has them. */
  async #traceOf({ run, layer, trace, text, checkpoint, holds }: Picture, name: string): Promise<Trace> {
    if (name === layer.name && trace.values(`${name}.h`)) return trace
    return this.source.trace(run.name, {
      text,
      layer: name,
      signals: ['h'],
      neurons: null,
      drives: false,
      top: 1,
      checkpoint,
      ...(holds.length ? { holds } : {}),
    })
  }
}

// The film of a training: the traces of one text with the weights of every checkpoint, loaded one after the other.
import type { Signal } from '../data/run'
import type { Source } from '../data/source'
import { sentenceOf } from '../data/source-error'
import type { Trace } from '../data/trace'
import type { Picture } from '../model/picture'
import { Latest } from './requests'

const TOP_SYMBOLS = 3

/** One text with the weights of one training step. */
export interface Frame {
  trace: Trace
  /** The signal of the film, [neurons, steps]. */
  values: Float32Array
}

export class Film {
  /** The loaded frames by their training step; null is the best weights. */
  frames = $state.raw<ReadonlyMap<number | null, Frame>>(new Map())
  problem = $state<string | null>(null)
  #key = ''
  // The weights of a film are in no hurry: they are never given up for newer ones of the same film.
  readonly #requests = new Latest()

  constructor(private readonly source: Source) {}

  /** Load the frames of a film that are not loaded. Those of another text, layer or signal are dropped. */
  follow(picture: Picture, signal: Signal, steps: readonly (number | null)[]): void {
    const { run, layer, text } = picture
    const key = JSON.stringify([run.name, layer.name, signal.name, text])
    const name = `${layer.name}.${signal.name}`
    const best: Frame = { trace: picture.trace, values: picture.trace.values(name) ?? new Float32Array() }
    if (key !== this.#key) this.frames = new Map()
    this.#key = key
    this.problem = null
    // The page has the best weights already.
    if (picture.checkpoint === null) this.frames = new Map(this.frames).set(null, best)
    this.#requests.request(async (abort) => {
      for (const step of steps) {
        if (this.frames.has(step) || abort.aborted || this.#key !== key) continue
        const request = {
          text,
          layer: layer.name,
          signals: [signal.name],
          neurons: null,
          drives: false,
          top: TOP_SYMBOLS,
          checkpoint: step,
        }
        try {
          const trace = await this.source.trace(run.name, request, { signal: abort })
          if (abort.aborted || this.#key !== key) return
          this.frames = new Map(this.frames).set(step, { trace, values: trace.values(name) ?? new Float32Array() })
        } catch (error) {
          if (abort.aborted) return
          this.problem = sentenceOf(error)
          return
        }
      }
    })
  }
}

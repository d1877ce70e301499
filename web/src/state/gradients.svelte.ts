// The answers of the page of gradients: the map of a text, one chain of factors, and the connections of predictions.
import {
  type Chain,
  type Connections,
  type PairMap,
  readConnections,
  readPairMap,
  connectionsOf,
} from '../data/gradients'
import type { Source } from '../data/source'
import { Answers } from './answers.svelte'

/** The text, the layer and the weights that gradients are computed of. */
export interface GradientSubject {
  run: string
  /** Changes when the best weights do. */
  version: number
  text: string
  layer: string
  checkpoint: number | null
}

export class Gradients {
  readonly map = new Answers<PairMap>()
  readonly chain = new Answers<Chain>()
  readonly connections = new Answers<Connections>()
  /** The subject and the measure of the shown connections. */
  #connectionsKey = ''

  constructor(readonly source: Source) {}

  requestMap({ run, version, text, layer, checkpoint }: GradientSubject): void {
    this.map.request(JSON.stringify([run, version, text, layer, checkpoint]), async () =>
      readPairMap(await this.source.arrays(run, 'gradients', { text, layer, checkpoint })),
    )
  }

  requestChain(subject: GradientSubject, state: string, neuron: number, before: number, after: number): void {
    const { run, text, layer, checkpoint } = subject
    this.chain.request(JSON.stringify([subject, state, neuron, before, after]), () =>
      this.source.chain(run, { text, layer, checkpoint, state, neuron, before, after }),
    )
  }

  requestConnections(subject: GradientSubject, by: string, step: number): void {
    const { run, version, text, checkpoint } = subject
    const shown = this.connections.value
    const key = JSON.stringify([run, version, text, checkpoint, by])
    if (key === this.#connectionsKey && shown && connectionsOf(shown, step)) return
    // One answer covers many steps; the server chooses which.
    this.connections.request(`${key} ${step}`, async () => {
      const answer = readConnections(await this.source.arrays(run, 'connections', { text, checkpoint, by, step }))
      this.#connectionsKey = key
      return answer
    })
  }
}

// The weights of the shown layer, by name.
import { type LayerMatrices, readMatrices } from '../data/matrices'
import type { Run } from '../data/run'
import type { Source } from '../data/source'
import { Answers } from './answers.svelte'

export class LayerWeights extends Answers<LayerMatrices> {
  constructor(private readonly source: Source) {
    super()
  }

  /** Load the weights of a layer at a training step, null for the best ones, unless they are loaded. */
  load(run: Run, layer: string, checkpoint: number | null): void {
    const key = JSON.stringify([run.name, run.weights_stamp, run.step, layer, checkpoint])
    this.request(key, async () => readMatrices(await this.source.arrays(run.name, 'matrices', { layer, checkpoint })))
  }
}

// What Python needs to go on with a training of the page: the twin of Loop.checkpoint in src/gatescope/training/loop.py.
import { type Tensor, writeTensors } from '../tensors'
import type { Adam } from './adam'
import type { States } from './network-pass'
import type { Weights } from './weights'

/** progress.json of a checkpoint, without the time. */
export interface PythonProgress {
  step: number
  symbols: number
  /** The training loss since the last entry of the history, and its number of targets. */
  nats: number
  targets: number
  /** The score and the negative loss of the best validation; null before the first. */
  best: [number, number] | null
  since_best: number
  solved_in_a_row: number
  diverged_in_a_row: number
}

export interface Resumption {
  progress: PythonProgress
  /** optimizer.safetensors of a checkpoint: the moments of Adam, and the states that the next batch begins with. */
  arrays: ArrayBuffer
}

/** Return what Python resumes from. `states` are those after the last batch; null if none carries them on. */
export function resumptionOf(
  weights: Weights,
  adam: Adam,
  states: States | null,
  progress: PythonProgress,
): Resumption {
  const tensors = new Map<string, Tensor>()
  const [mean, square] = [weights.named(adam.mean), weights.named(adam.square)]
  for (const [index, name] of inOrderOfTorch(weights.names).entries()) {
    // Torch's optimizer has no state before the first update, and none of empty weights.
    if (!progress.step || !mean.get(name)!.data.length) continue
    tensors.set(`optimizer.${index}.step`, { shape: [], data: Float32Array.of(adam.step) })
    tensors.set(`optimizer.${index}.exp_avg`, mean.get(name)!)
    tensors.set(`optimizer.${index}.exp_avg_sq`, square.get(name)!)
  }
  for (const [k, layer] of (states ?? []).entries()) {
    const neurons = mean.get(`layers.${k}.recurrent_weights`)!.shape.at(-1)!
    for (const [name, data] of layer)
      tensors.set(`state.${k}.${name}`, { shape: [data.length / neurons, neurons], data })
  }
  return { progress, arrays: writeTensors({ metadata: { step: String(progress.step) }, tensors }) }
}

/** Return names of weights in the order of Network.parameters(): those of the network itself, then those of its layers. */
function inOrderOfTorch(names: readonly string[]): string[] {
  const own = ['embedding', 'readout_weights', 'readout_biases'].filter((name) => names.includes(name))
  const layers = names.filter((name) => !own.includes(name))
  const layerOf = (name: string): number => Number(name.split('.')[1])
  return [...own, ...layers.sort((a, b) => layerOf(a) - layerOf(b) || (a < b ? -1 : 1))]
}

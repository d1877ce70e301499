// One layer in training: a forward pass, and the backward pass that may follow. Two engines run them.
//
// T step, B row, N neuron, I input.
import type { Values } from '../arrays'
import type { Cell } from '../cell'

/** State -> (B, N). */
export type LayerStates = ReadonlyMap<string, Values>

/** A layer, and the number under which its weights are stored. */
export interface TrainedLayer {
  cell: Cell
  neurons: number
  inputs: number
  reverse: boolean
  number: number
}

/** A forward pass of a layer. `free` must be called when it is no longer needed. */
export interface LayerPass {
  /** The hidden states (T, B, N); 0 after the end of a row. */
  readonly hidden: Values
  /** The states after the last step of each row. */
  readonly final: LayerStates
  /**
   * Write the gradients of the weights from that of the hidden states.
   *
   * Returns the gradient of the input vectors (T, B, I); null if the inputs are ids.
   */
  backward(dHidden: Values): Values | null
  /** Give the memory of the pass back. */
  free(): void
}

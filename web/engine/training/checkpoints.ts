// Weights at some steps of a training, kept in memory.
import type { Values } from '../arrays'
import { EngineError } from '../errors'

const MAX_CHECKPOINTS = 64

/** Keeps the weights of every `interval` steps. When there are too many, every second one goes. */
export class Checkpoints {
  readonly #values = new Map<number, Values>()

  constructor(private interval: number) {}

  /** The steps of the checkpoints, rising. */
  get steps(): number[] {
    return [...this.#values.keys()]
  }

  /** Keep the weights of a step if it is one of those that are kept. */
  add(step: number, values: Values): void {
    if (step % this.interval) return
    this.#values.set(step, values.slice())
    if (this.#values.size <= MAX_CHECKPOINTS) return
    this.interval *= 2
    for (const other of this.steps) if (other % this.interval) this.#values.delete(other)
  }

  /** Return the weights of a step. Throws an EngineError if there is no checkpoint of this step. */
  at(step: number): Values {
    const values = this.#values.get(step)
    if (!values) throw new EngineError('TRAINING_CHECKPOINT_MISSING', { step })
    return values
  }
}

// A text recorded in float64, with the Jacobians of its layers: what every answer about gradients is computed from.
import { EngineError, shown } from './errors'
import { checkWork, MAX_WORK, stepWork } from './gradient-limits'
import { Jacobians } from './jacobians'
import type { Network } from './network'
import { partsOf, Recorder, type Sequence } from './recording'

/** Every pair of steps is compared, so texts are short. */
const MAX_PAIRED_STEPS = 300

export class ExactRecording {
  readonly sequences: readonly Sequence[]
  readonly labels: string[]
  /** The first step of each sequence, and the number of all steps. */
  readonly firsts: number[] = [0]
  readonly #jacobians = new Map<number, Jacobians[]>()

  constructor(
    /** In float64. */
    readonly network: Network,
    readonly text: string,
  ) {
    const { vocabulary } = network.configuration
    if (vocabulary.unit === 'number') throw new EngineError('GRADIENTS_OF_NUMBERS')
    this.labels = partsOf(network, text).flatMap((part) => vocabulary.labels(part))
    if (this.labels.length > MAX_PAIRED_STEPS)
      throw new EngineError('GRADIENTS_TEXT_TOO_LONG', { steps: this.labels.length, most: MAX_PAIRED_STEPS })
    checkWork(this.labels.length * stepWork(network), MAX_WORK)
    this.sequences = new Recorder(network, () => null, true).record(text).sequences
    for (const { steps } of this.sequences) this.firsts.push(this.firsts.at(-1)! + steps)
  }

  /** The number of steps of all sequences. */
  get steps(): number {
    return this.firsts.at(-1)!
  }

  /** Return the number of a layer that reads from the beginning. Throws an EngineError if there is none. */
  layer(name: unknown): number {
    const { names, layers } = this.network.configuration
    const layer = names.indexOf(name as string)
    if (layer < 0) throw new EngineError('LAYER_UNKNOWN', { layer: shown(name), layers: names.join(', ') })
    if (layers[layer]!.reverse) throw new EngineError('GRADIENTS_LAYER_REVERSE', { layer: names[layer]! })
    return layer
  }

  /** Return the Jacobians of a layer, one entry for each sequence. Throws an EngineError if it carries no state. */
  jacobians(layer: number): Jacobians[] {
    const { layers, names } = this.network.configuration
    if (this.steps && !layers[layer]!.cell.states.length)
      throw new EngineError('LAYER_STATELESS', { layer: names[layer]! })
    const known = this.#jacobians.get(layer)
    if (known) return known
    const computed = this.sequences.map((sequence) => Jacobians.of(this.network, layer, sequence))
    this.#jacobians.set(layer, computed)
    return computed
  }

  /** Return a step of the text. Throws an EngineError if there is none. */
  check(step: unknown): number {
    if (!this.steps) throw new EngineError('STEPS_MISSING')
    if (!Number.isInteger(step) || (step as number) < 0 || (step as number) >= this.steps)
      throw new EngineError('STEP_UNKNOWN', { step: shown(step), last: this.steps - 1 })
    return step as number
  }

  /** Return the number of the sequence of a step. */
  sequenceOf(step: number): number {
    return this.firsts.findLastIndex((first) => first <= step)
  }
}

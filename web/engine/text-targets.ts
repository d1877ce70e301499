// The targets of some texts, for networks that do not predict the next symbol: only the task knows them.
import { EngineError } from './errors'
import type { Network } from './network'
import { type Answers, partsOf } from './recording'

/** The targets of one text after each step of all its sequences. */
export interface TextTargets {
  text: string
  /** Classes: an id for each step, -1 if unknown. */
  target?: number[]
  /** Numbers: one row for each step, null if unknown. */
  value?: (number | null)[][]
}

/** Return the targets of the sequences of some texts. Throws an EngineError if a text has another number of steps. */
export function answersOf(network: Network, texts: readonly TextTargets[]): Answers {
  const { readout, vocabulary } = network.configuration
  const width = readout.kind === 'numbers' ? readout.names.length : 1
  const answers = new Map<string, number[]>()
  for (const { text, target = [], value = [] } of texts) {
    const targets = readout.kind === 'numbers' ? value.flatMap((row) => row.map((entry) => entry ?? NaN)) : target
    let first = 0
    for (const part of partsOf(network, text)) {
      const last = first + vocabulary.labels(part).length * width
      answers.set(part, targets.slice(first, last))
      first = last
    }
    if (first !== targets.length)
      throw new EngineError('ANSWERS_COUNT_WRONG', { count: targets.length, expected: first })
  }
  return (sequence) => answers.get(sequence) ?? null
}

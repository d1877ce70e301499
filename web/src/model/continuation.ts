// What a network writes behind a text: its symbols, the values of its neurons while it reads them, and its branches.
import { Writer } from '../../engine/writer'
import type { Run } from '../data/run'
import type { Written } from '../data/source'
import { Trace } from '../data/trace'
import type { Branch } from '../data/view'
import { offsetAfter, symbolLabels } from './characters'

/** Symbols behind a text: those of a branch, and those that the network wrote. */
export interface Continuation {
  text: string
  trace: Trace
  /** The log-probability of each symbol. */
  logProbabilities: Float32Array
  /** The id of the most probable symbol after the text. */
  next: number
}

export const readContinuation = ({ text, trace, logProbabilities, next }: Written): Continuation => ({
  text,
  trace: Trace.read(trace),
  logProbabilities,
  next,
})

/** What is drawn behind the text, or as a branch of it. */
export interface Ghost {
  continuation: Continuation
  /** The number of its symbols that are not drawn, because the text or another row has them. */
  skip: number
  /** The column of the first symbol that is drawn. */
  from: number
}

export interface BranchRow extends Ghost {
  branch: Branch
}

/** Return the labels of the symbols that are drawn. */
export const ghostLabels = ({ continuation, skip }: Ghost): string[] => continuation.trace.labels.slice(skip)

/** Return the values of a signal of a neuron while the network reads the symbols that are drawn; null if unknown. */
export function ghostValues({ continuation, skip }: Ghost, name: string, neuron: number): Float32Array | null {
  return continuation.trace.row(name, neuron)?.subarray(skip) ?? null
}

/** Return the text of the first symbols of a continuation behind a text. */
export function writtenText(run: Run, ids: ArrayLike<number>, before: string): string {
  const writer = new Writer({ unit: run.unit, symbols: run.vocabulary, end: run.end }, null, before)
  return Array.from(ids, (id) => writer.write(id)).join('') + writer.rest()
}

/** Return what is left of a continuation when its first symbols were typed; null if other ones were. */
export function remainder(run: Run, continuation: Continuation, before: string, text: string): number | null {
  if (text === before) return 0
  if (!text.startsWith(before)) return null
  const typed = text.slice(before.length)
  if (!continuation.text.startsWith(typed) || typed === continuation.text) return null
  const ids = continuation.trace.token
  for (let count = 1; count < ids.length; count++) {
    const part = writtenText(run, ids.subarray(0, count), before)
    if (part === typed) return count
    if (part.length > typed.length) return null
  }
  return null
}

/** Return the id of a symbol as it is printed; -1 if the network has no such symbol. */
export const idOfSymbol = (run: Run, symbol: string): number => symbolLabels(run.vocabulary).indexOf(symbol)

/** Return the text with a branch in place of what follows its step. */
export function branchedText(text: string, labels: string[], unit: Run['unit'], row: BranchRow): string {
  return text.slice(0, offsetAfter(labels, text, row.branch.step + 1, unit)) + row.continuation.text
}

/** Return the branches that an edit of the text does not touch: those that begin in the part before it. */
export function keptBranches(branches: readonly Branch[], before: string, after: string, unit: Run['unit']): Branch[] {
  if (!branches.length || before === after) return [...branches]
  let same = 0
  while (same < before.length && before[same] === after[same]) same++
  if (unit !== 'character') return after.startsWith(before) ? [...branches] : []
  const steps = [...before.slice(0, same)].length
  return branches.filter(({ step }) => step < steps)
}

/** The sum of log-probabilities. */
export const total = (logProbabilities: ArrayLike<number>): number =>
  Array.from(logProbabilities).reduce((sum, one) => sum + one, 0)

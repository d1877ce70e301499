// What a lesson of the playground asks, and how it answers.
import type { Hold, ViewState } from '../data/view'
import type { Code, Values } from '../messages/text'

/** What a reader answers: a number, a neuron, or one of some sentences. */
export type Ask =
  { kind: 'number'; low: number; high: number } | { kind: 'neuron' } | { kind: 'choice'; choices: readonly Code[] }

/** A sentence of the catalogue with its values. */
export interface Said {
  code: Code
  values?: Values
}

export interface Verdict {
  right: boolean
  /** Why, with the measured figures. */
  why: Said
  /** What shows it: a view of the network, without its run. */
  look: Partial<ViewState>
}

/** Checks an answer: a number, the number of a neuron, or that of a choice. */
export type Judge = (answer: number) => Verdict | Promise<Verdict>

/** A network about which the question makes no sense; the sentence says why, and what to do. */
export class LessonUnfit extends Error {
  constructor(readonly why: Said) {
    super(why.code)
  }
}

/** Return a hold of a signal of a neuron of the first layer. */
export const holdOf = (
  neuron: number,
  signal: string,
  value: number,
  first: number,
  last: number | null = null,
): Hold => ({ layer: 'layer0', neuron, signal, value, first, last })

// Networks beside each other in the playground: the same task, batches and seed, and what differs between them.
import type { PlaygroundIndex } from '../data/playground'
import { type Experiment, experimentText, forgetBiasOf, parseExperiment } from './experiment'

/** All networks together. */
export const MAX_NETWORKS = 3

/** The settings that give all networks the same data. */
const SHARED = ['task', 'batch', 'seed'] as const

/** Return the words of a network in an address: those of its experiment without what all networks share. */
export function besideText(experiment: Experiment): string {
  const words = experimentText({ ...experiment, batch: null, seed: 0 }).split(' ')
  return [...words.slice(0, 3), ...words.slice(4)].join(' ')
}

/** Return the experiment of such words, on the data of the first network; null if they are none. */
export function parseBeside(words: string, first: Experiment, index: PlaygroundIndex): Experiment | null {
  const [cell, neurons, layers, ...settings] = words.split(' ')
  if (SHARED.some((name) => settings.includes(name))) return null
  const experiment = parseExperiment([cell, neurons, layers, first.task, ...settings].join(' '), index)
  return experiment && { ...experiment, ...shared(first) }
}

const shared = ({ task, batch, seed }: Experiment): Pick<Experiment, (typeof SHARED)[number]> => ({ task, batch, seed })

/** Return an experiment with another cell, without the bias of a gate that this cell does not have. */
export const withCell = (experiment: Experiment, cell: string, index: PlaygroundIndex): Experiment => ({
  ...experiment,
  cell,
  forget: forgetBiasOf(cell, index) === null ? null : experiment.forget,
})

/** What "beside another" offers. The first network may change too. */
export const COMPARISONS = ['cell', 'cells', 'forget', 'neurons'] as const
export type Comparison = (typeof COMPARISONS)[number]

/** The cells of a network that is added, in their order. */
const CELLS = ['elman', 'gru', 'lstm'] as const

/** Return the networks that a comparison makes of those shown, the first one first; null if it cannot make any. */
export function networksOf(
  comparison: Comparison,
  shown: readonly [Experiment, ...Experiment[]],
  index: PlaygroundIndex,
): Experiment[] | null {
  const [first] = shown
  const bias = forgetBiasOf(first.cell, index)
  switch (comparison) {
    case 'cell':
      return shown.length === MAX_NETWORKS ? null : [...shown, withCell(first, newCell(shown), index)]
    case 'cells':
      return ['lstm', 'elman', 'gru'].map((cell) => withCell(first, cell, index))
    case 'forget':
      if (bias === null) return null
      return [0, 1].map((forget) => ({ ...first, forget: forget === bias ? null : forget }))
    case 'neurons':
      return [3, 10].map((neurons) => ({ ...first, neurons }))
  }
}

/** Return a cell that none of the networks has. */
const newCell = (shown: readonly Experiment[]): string =>
  CELLS.find((name) => shown.every(({ cell }) => cell !== name)) ?? CELLS[0]

/** What differs between the networks; the name of a network has these. */
export const DIFFERENCES = ['neurons', 'layers', 'forget', 'rate', 'clip'] as const
export type Difference = (typeof DIFFERENCES)[number]

/** Return what differs between networks besides their cells. Cells without a forget gate differ in no bias of one. */
export function differencesOf(networks: readonly Experiment[], index: PlaygroundIndex): Difference[] {
  return DIFFERENCES.filter((name) => {
    const values = new Set(networks.map((network) => valueOf(network, name, index)))
    if (name === 'forget') values.delete(null)
    return values.size > 1
  })
}

/** Return what a network has of a difference; null for what the task recommends, or a gate that it does not have. */
export function valueOf(network: Experiment, name: Difference, index: PlaygroundIndex): number | null {
  return network[name] ?? (name === 'forget' ? forgetBiasOf(network.cell, index) : null)
}

/** Return the largest n up to which every level is right; 0 if the first is not. */
export function countsTo(levels: readonly { level: number; right: number; strings: number }[]): number {
  const wrong = levels.findIndex(({ right, strings }) => right < strings)
  return (wrong < 0 ? levels.at(-1) : levels[wrong - 1])?.level ?? 0
}

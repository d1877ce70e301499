// An experiment of the playground: a network, a task and the settings of its training, as one sentence and in an address.
import type { Recipe } from '../../engine/training/recipe'
import type { PlaygroundIndex, TaskBundle } from '../data/playground'

export interface Experiment {
  cell: string
  neurons: number
  layers: number
  /** The name of a task; TEXT for a pasted text. */
  task: string
  /** Null for the settings that the task recommends. */
  rate: number | null
  batch: number | null
  clip: number | null
  /** The initial bias of the forget gate; null for that of the cell. */
  forget: number | null
  seed: number
  /** The run or the file whose weights training begins with; null for the initial weights of the seed. */
  from: string | null
}

/** The task whose data are pasted into the page. */
export const TEXT = 'text'

export const START_EXPERIMENT: Experiment = {
  cell: 'lstm',
  neurons: 10,
  layers: 1,
  task: 'counter',
  rate: null,
  batch: null,
  clip: null,
  forget: null,
  seed: 0,
  from: null,
}

/** The largest values: larger networks train too slowly in a page. */
export const LIMITS = {
  neurons: 128,
  layers: 4,
  rate: 1,
  batch: 256,
  clip: 1000,
  forget: 10,
  seed: 999_999_999,
} as const

/** The sizes that the sentence offers. */
export const NEURON_CHOICES = [2, 3, 5, 10, 20, 32, 64, 128] as const
export const LAYER_CHOICES = [1, 2, 3, 4] as const

const FROM = 'from'
const MAX_FROM_CHARACTERS = 300
export const SETTINGS = ['rate', 'batch', 'clip', 'forget', 'seed'] as const
export type Setting = (typeof SETTINGS)[number]

/** Return an experiment as the words of an address, such as "lstm 10 1 counter seed 3". */
export function experimentText(experiment: Experiment): string {
  const { cell, neurons, layers, task } = experiment
  const words: (string | number)[] = [cell, neurons, layers, task]
  for (const name of SETTINGS) {
    const value = experiment[name]
    if (value !== START_EXPERIMENT[name] && value !== null) words.push(name, value)
  }
  if (experiment.from !== null) words.push(FROM, encodeURIComponent(experiment.from))
  return words.join(' ')
}

/** Return the number in a field if it is one that the setting may have; null otherwise. */
export function settingIn(name: Setting | 'neurons' | 'layers', field: string): number | null {
  const value = /^[\d.e-]{1,12}$/.test(field) ? Number(field) : NaN
  // A bias may be negative.
  if (name === 'forget') return Math.abs(value) <= LIMITS.forget ? value : null
  const isFraction = name === 'rate' || name === 'clip'
  if (!(value <= LIMITS[name]) || !(isFraction ? value > 0 : Number.isInteger(value))) return null
  return value >= 1 || isFraction || (name === 'seed' && value === 0) ? value : null
}

/** Return the name of a run or a file in a word; null if it is none. */
function decoded(word: string): string | null {
  try {
    const name = decodeURIComponent(word)
    return name && name.length <= MAX_FROM_CHARACTERS ? name : null
  } catch {
    return null
  }
}
/** Return the initial bias of the forget gate of a cell; null if the cell has no such gate. */
export const forgetBiasOf = (cell: string, { cells }: PlaygroundIndex): number | null =>
  cells.find(({ name }) => name === cell)?.network.biases?.['f'] ?? null

/** Return the experiment of an address; null if its words are no experiment. The index says which cells and tasks there are. */
export function parseExperiment(words: string, index: PlaygroundIndex): Experiment | null {
  const [cell = '', neurons = '', layers = '', task = '', ...settings] = words.split(' ')
  const known = index.cells.some(({ name }) => name === cell)
  if (!known || (task !== TEXT && !index.tasks.some(({ name }) => name === task))) return null
  const [size, depth] = [settingIn('neurons', neurons), settingIn('layers', layers)]
  if (size === null || depth === null || settings.length % 2) return null
  const experiment: Experiment = { ...START_EXPERIMENT, cell, neurons: size, layers: depth, task }
  for (let k = 0; k < settings.length; k += 2) {
    if (settings[k] === FROM) {
      experiment.from = decoded(settings[k + 1]!)
      if (experiment.from === null) return null
      continue
    }
    const name = SETTINGS.find((one) => one === settings[k])
    const value = name === undefined ? null : settingIn(name, settings[k + 1]!)
    if (name === undefined || value === null) return null
    experiment[name] = value
  }
  if (experiment.forget !== null && forgetBiasOf(cell, index) === null) return null
  return experiment
}

/** Return a cell of network.json. One with another bias has the name that Python gives it, such as "lstm:f=0". */
function cellOf({ cell, forget }: Experiment, { cells }: PlaygroundIndex): { name: string; network: object } {
  const { network, biased } = cells.find(({ name }) => name === cell)!
  if (forget === null || !biased) return { name: cell, network }
  const [name, title] = [biased.name, biased.title].map((words) => words.replace('f=0', `f=${forget}`))
  return { name: name!, network: { ...network, name, title, biases: { ...network.biases, f: forget } } }
}

/** Return the network.json of an experiment: that of the task, with the layers of the experiment. */
export function networkOf(experiment: Experiment, bundle: TaskBundle, index: PlaygroundIndex): object {
  const { neurons, layers } = experiment
  const { name, network } = cellOf(experiment, index)
  const layer = { cell: name, neurons, reverse: false, initial: false, stacked: false }
  return {
    ...bundle.suggested.network,
    cells: { [name]: network },
    layers: Array.from({ length: layers }, () => layer),
  }
}

/** Return the settings that differ from those of the task. The page trains on after the task is solved. */
export function recipeOf({ rate, batch, clip }: Experiment): Partial<Recipe> {
  return {
    untilSolved: false,
    ...(rate === null ? {} : { learningRate: rate }),
    ...(batch === null ? {} : { batch }),
    ...(clip === null ? {} : { clip }),
  }
}

/** What the network goes on writing: the beginning of a test string, up to its first prediction that counts. */
export interface Beginning {
  prime: string
  length: number
  /** A text after which writing ends. */
  stop: string | null
  greedy: boolean
}

const SAMPLE_SYMBOLS = 120

/** Return the beginning of a middle one of the test strings; nothing for a text, which is written from the start. */
export function beginningOf({ score, vocabulary }: TaskBundle): Beginning {
  const strings = score.strings?.text ?? []
  const middle = strings.length >> 1
  const prime = (strings[middle] ?? '').slice(0, (score.strings?.first?.[middle] ?? 0) + 1)
  return { prime, length: SAMPLE_SYMBOLS, stop: prime ? vocabulary.end : null, greedy: prime !== '' }
}

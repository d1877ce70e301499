// A network that training begins with: one of the playground's kinds, from a run or a file.
import type { PlaygroundIndex } from '../data/playground'
import type { Run } from '../data/run'
import { type Experiment, LIMITS, START_EXPERIMENT, TEXT } from './experiment'

/** How the name of an opened file begins in an address; no run has such a name. */
const FILE = 'file:'

/** Return the name of an opened file for an address. */
export const fileStart = (name: string): string => FILE + name
/** Whether the name of a start is that of a file, which only the page that opened it has. */
export const isFileStart = (from: string): boolean => from.startsWith(FILE)
/** Return the name of the run or the file of a start, for the reader. */
export const startName = (from: string): string => (isFileStart(from) ? from.slice(FILE.length) : from)

/** What a run or a file gives to a training. */
export interface StartNetwork {
  /** network.json. */
  network: unknown
  /** weights.safetensors. */
  weights: ArrayBuffer
}

/** The parts of network.json that decide whether the playground can train a network; the engine checks all of it. */
interface Described {
  cells?: Record<string, { tape?: unknown }>
  layers?: { cell?: string; neurons?: number; reverse?: boolean; stacked?: boolean }[]
  vocabulary?: { unit?: string; end?: string | null; symbols?: string[] }
  readout?: { kind?: string; reads?: string }
}

/** The cells and the tasks of the playground; a test compares them with its files. */
export const CELL_NAMES = ['lstm', 'gru', 'elman', 'peephole'] as const
export const TASK_NAMES = ['counter', 'selective_counter', 'state_memoriser', 'copy'] as const

type Sizes = Pick<Experiment, 'cell' | 'neurons' | 'layers'>

/** Return the cell and the sizes of layers; null if the playground does not train such layers. */
function sizesOf(layers: Described['layers']): Sizes | null {
  const first = layers?.[0]
  if (!first || layers.length > LIMITS.layers || !((first.neurons ?? Infinity) <= LIMITS.neurons)) return null
  if (!CELL_NAMES.some((name) => name === first.cell)) return null
  const isAlike = layers.every(
    ({ cell, neurons, reverse, stacked }) => cell === first.cell && neurons === first.neurons && !reverse && !stacked,
  )
  return isAlike ? { cell: first.cell!, neurons: first.neurons!, layers: layers.length } : null
}

/** Return the task on which a network can be trained on: its own one, or a text; null for none. */
function taskOf(task: string, unit: string | undefined, end: string | null | undefined): string | null {
  if (TASK_NAMES.some((name) => name === task)) return task
  return unit === 'character' && end === null ? TEXT : null
}

/** Return the experiment that trains a run on; null if the playground cannot. */
export function experimentFrom(run: Run): Experiment | null {
  const sizes = sizesOf(run.layers.map((layer) => ({ ...layer, cell: layer.cell.name })))
  const task = run.readout.kind === 'symbols' ? taskOf(run.task.name, run.unit, run.end) : null
  return sizes && task && run.weights ? { ...START_EXPERIMENT, ...sizes, task, from: run.name } : null
}

/** Return the experiment that trains the network of a file on; null if the playground cannot. */
export function experimentOf(network: unknown, task: string, name: string): Experiment | null {
  const { layers, vocabulary, readout } = (network ?? {}) as Described
  const sizes = Array.isArray(layers) ? sizesOf(layers) : null
  const known = readout?.kind === 'symbols' ? taskOf(task, vocabulary?.unit, vocabulary?.end) : null
  return sizes && known ? { ...START_EXPERIMENT, ...sizes, task: known, from: fileStart(name) } : null
}

/** Whether a network has the cell and the sizes of an experiment, with the equations of the playground. */
export function fits(network: unknown, { cell, neurons, layers }: Experiment, index: PlaygroundIndex): boolean {
  const described = network as Described | null
  const sizes = Array.isArray(described?.layers) ? sizesOf(described.layers) : null
  const own = index.cells.find(({ name }) => name === cell)?.network as { tape?: unknown } | undefined
  const isSameCell = JSON.stringify(described?.cells?.[cell]?.tape) === JSON.stringify(own?.tape)
  return isSameCell && sizes?.cell === cell && sizes.neurons === neurons && sizes.layers === layers
}

/** Return the symbols of a network; null if it has none. */
export function symbolsOf(network: unknown): string[] | null {
  const symbols = (network as Described | null)?.vocabulary?.symbols
  return Array.isArray(symbols) && symbols.every((symbol) => typeof symbol === 'string') ? symbols : null
}

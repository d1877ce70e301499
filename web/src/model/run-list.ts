// The list of runs: its search, its order, its groups, and the state of a run in words.
import type { RunState, Summary } from '../data/run'
import type { RunOrder } from '../data/view'
import { type Code, text } from '../messages/text'
import { layersText } from './descriptions'

const STATES: Record<RunState, Code> = {
  starting: 'CARD_STARTING',
  training: 'CARD_TRAINING',
  created: 'CARD_CREATED',
  finished: 'CARD_FINISHED',
  interrupted: 'CARD_INTERRUPTED',
  failed: 'CARD_FAILED',
  unreadable: 'CARD_UNREADABLE',
}

/** Return the state of a run, and whether its task is solved, in words. */
export function stateText(run: Summary): string {
  if (run.state === 'training' && run.progress !== null)
    return text('CARD_TRAINING_PERCENT', { percent: Math.round(run.progress * 100) })
  if (run.state === 'finished' && run.score?.solved === true) return text('CARD_SOLVED')
  if (run.state === 'finished' && run.score?.solved === false) return text('CARD_NOT_SOLVED')
  return text(STATES[run.state])
}

/** Return the network of a run in short: "LSTM 20 + 20". */
export function networkText({ cell, layers }: Summary): string {
  const sizes = layers.filter((layer) => !layer.reverse || layer.stacked).map((layer) => layer.neurons)
  return `${cell.title} ${sizes.join(' + ')}`
}

/** Describe a run in a list: its cell, its layers and its task. */
export const runText = ({ cell, layers, task }: Summary): string =>
  text('SWITCHER_ABOUT', { cell: cell.title, layers: layersText(layers, 'comma'), task: task.title })

/** Whether a run has every word of a search in its name, task, cell, layers, tags or score. */
export function matchesSearch(run: Summary, search: string): boolean {
  const words = [
    run.name,
    run.task.name,
    run.task.title,
    run.cell.name,
    run.cell.title,
    layersText(run.layers, 'comma'),
    run.score?.text ?? '',
    ...run.tags,
  ]
  const all = words.join('\n').toLowerCase()
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word))
}

const byName = (a: Summary, b: Summary): number => a.name.localeCompare(b.name, 'en', { numeric: true })
const byTask = (a: Summary, b: Summary): number => a.task.title.localeCompare(b.task.title, 'en')

/** The rank of a score, higher is better; runs without a score come last. */
function scoreRank({ score }: Summary): number {
  if (!score) return -Infinity
  return score.better === 'lower' ? -score.value : score.value
}

/** Scores of different tasks cannot be compared, so runs are sorted by task first. */
const byScore = (a: Summary, b: Summary): number => byTask(a, b) || scoreRank(b) - scoreRank(a) || byName(a, b)

const ORDERS: Record<'date' | 'name' | 'task' | 'score', (a: Summary, b: Summary) => number> = {
  date: () => 0, // as the server lists them, the newest first
  name: byName,
  task: (a, b) => byTask(a, b) || byName(a, b),
  score: byScore,
}

/** Return the runs that match a search, in an order; "-name" is the reverse of "name". */
export function listed(runs: readonly Summary[], search: string, order: RunOrder): Summary[] {
  const matching = runs.filter((run) => matchesSearch(run, search))
  const reverse = order.startsWith('-')
  const key = (reverse ? order.slice(1) : order) as keyof typeof ORDERS
  const sorted = [...matching].sort(ORDERS[key])
  return reverse ? sorted.reverse() : sorted
}

/** Return runs in groups of one task, in the order of the first run of each. */
export function groupedByTask(runs: readonly Summary[]): { title: string; runs: Summary[] }[] {
  const groups = new Map<string, Summary[]>()
  for (const run of runs) groups.set(run.task.title, [...(groups.get(run.task.title) ?? []), run])
  return [...groups].map(([title, members]) => ({ title, runs: members }))
}

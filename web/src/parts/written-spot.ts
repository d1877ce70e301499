// What lies under the pointer behind the text and in the predictions: symbols that the network wrote, or may read next.
import { type Geometry } from '../draw/geometry'
import { barAt } from '../draw/prediction-bars'
import { text } from '../messages/text'
import { characterName, predictionLabels } from '../model/characters'
import { type Ghost, ghostValues } from '../model/continuation'
import { number, percent } from '../model/numbers'
import type { Picture } from '../model/picture'
import type { Explorer } from '../state/explorer.svelte'
import { takeWritten, toggleBranch } from '../state/taking'

export interface WrittenSpot {
  /** The column, in the text or behind it. */
  step: number
  /** A predicted symbol that a click follows in a branch; null if the pointer is not on its bar. */
  symbol: string | null
  /** The number of the symbol behind the text; null in the text. */
  index: number | null
  /** The neuron of the row under the pointer. */
  neuron: number | null
  /** Whether a click acts. */
  choosable: boolean
}

/** Return what the network wrote, or predicts, at a place of the canvas; null if that is not under it. */
export function writtenAt(
  explorer: Explorer,
  picture: Picture,
  g: Geometry,
  ghost: Ghost | null,
  position: number,
  y: number,
  scrolled: number,
): WrittenSpot | null {
  const { trace } = picture
  const step = Math.floor(position)
  const isCurrent = picture.text === explorer.text
  if (position < 0 || !isCurrent || !explorer.writing.available || explorer.state.view !== 'network') return null
  const index = step < trace.steps ? null : step - trace.steps
  const written = ghost?.continuation.trace
  if (index !== null && (!ghost || !written || ghost.skip + index >= written.steps)) return null
  const symbol = predictedAt(picture, g, ghost, step, y)
  if (index === null && symbol === null) return null
  const onText = index !== null && y >= g.ruler.y && y < g.ruler.y + g.ruler.height
  const row = y < g.header ? -1 : Math.floor((y - g.header + scrolled) / g.pitch)
  const neuron = explorer.order.neurons[row] ?? null
  return { step, symbol, index, neuron, choosable: symbol !== null || onText }
}

/** Return the predicted symbol whose bar lies at a height, unless it is the one that comes next. */
function predictedAt(picture: Picture, g: Geometry, ghost: Ghost | null, step: number, y: number): string | null {
  const { trace, run } = picture
  const isBehind = step >= trace.steps
  const source = isBehind ? ghost!.continuation.trace : trace
  const at = isBehind ? step - trace.steps + ghost!.skip : step
  const rank = g.predictions.height ? barAt(g.predictions, source.topProbability, at * source.top, source.top, y) : null
  if (rank === null) return null
  const symbol = predictionLabels(run)[source.topToken[at * source.top + rank]!]
  const next = step + 1 === trace.steps ? ghost?.continuation.trace.labels[ghost.skip] : source.labels[at + 1]
  return symbol === undefined || (symbol === next && !source.start[at + 1]) ? null : symbol
}

/** Act on a click: begin a branch, or take what the network wrote up to here. */
export function chooseWritten(explorer: Explorer, { step, symbol, index, choosable }: WrittenSpot): boolean {
  if (!choosable) return false
  if (symbol !== null) toggleBranch(explorer, step, symbol)
  else takeWritten(explorer, index! + 1)
  return true
}

/** Return the lines of the tip: those of the predictions with what a click does, or those of a symbol behind the text. */
export function writtenTip(
  explorer: Explorer,
  picture: Picture,
  { symbol, index, neuron, choosable }: WrittenSpot,
  predictions: string[] | null,
): string[] | null {
  const branch = symbol === null ? [] : [text('BRANCH_CLICK', { name: characterName(symbol) })]
  const { ghost } = explorer.writing
  if (index === null || !ghost) return [...(predictions ?? []), ...branch]
  const { trace, logProbabilities } = ghost.continuation
  const at = ghost.skip + index
  const name = characterName(trace.labels[at] ?? '')
  const nats = logProbabilities[at] ?? NaN
  const lines = [text('WRITE_TIP', { name, probability: percent(Math.exp(nats)), nats: number(nats) })]
  const signal = explorer.shownSignal
  if (neuron !== null && signal) {
    const value = ghostValues(ghost, `${picture.layer.name}.${signal.name}`, neuron)?.[index] ?? NaN
    lines.push(text('WRITE_TIP_VALUE', { signal: signal.name, neuron, value: number(value) }))
  }
  return [...lines, ...(branch.length ? branch : choosable ? [text('WRITE_TIP_TAKE')] : [])]
}

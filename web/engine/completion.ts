// The most probable words or lines after a place of a text, found by a beam search over the symbols of a network.
//
// The probability of a word is that of its symbols, followed by any symbol that ends it. The search may miss words whose
// beginnings are improbable; the probabilities of those that it finds are exact.
import type { Values } from './arrays'
import { changesAfter, placeAfter, recordedSteps } from './continuation'
import { EngineError, shown } from './errors'
import { toLogProbabilities } from './head'
import type { Hold } from './holds'
import type { Network, State } from './network'
import { ranked } from './ranking'
import type { Recorder, Work } from './recording'
import { checkWriter } from './sampling'
import type { Vocabulary } from './vocabulary'
import { Writer } from './writer'

export interface CompleteRequest {
  text: string
  /** The number of steps of the text before the place; all of them if missing. */
  steps?: number | null
  /** What is completed: the next word, or the rest of the line. */
  what: 'word' | 'line'
  holds: readonly Hold[]
}

export interface Completion {
  text: string
  probability: number
  /** Whether the word or the line ends with it; otherwise the search was cut off. */
  ends: boolean
}

const BEAM_WIDTH = 16
const MAX_COMPLETIONS = 8
/** The most symbols of a completion. */
const MAX_SYMBOLS = { word: 24, line: 80 }
const WORD = /[\p{L}\p{N}_]/u
const REPLACEMENT = '\ufffd'

interface Node {
  ids: number[]
  logProbability: number
  /** Whether it has a letter of a word. */
  inWord: boolean
}

/** What the symbols of a vocabulary are to a completion. */
class Kinds {
  /** 1 for symbols that belong to a word, and for those that end a line. */
  readonly word: Uint8Array
  readonly ending: Uint8Array
  /** Whether every symbol is a word of its own. */
  readonly areWords: boolean

  constructor({ unit, symbols, end }: Vocabulary) {
    this.areWords = unit === 'word' || unit === 'token'
    this.ending = Uint8Array.from(symbols, (symbol) => Number(symbol === end || symbol === '\n'))
    this.word = Uint8Array.from(symbols, (symbol, id) => Number((unit === 'byte' && id > 127) || WORD.test(symbol)))
  }
}

/** Find completions in pieces, the most probable first. */
export function* complete(network: Network, recorder: Recorder, request: CompleteRequest): Work<Completion[]> {
  const { text, what, holds } = request
  const { vocabulary } = network.configuration
  checkWriter(network, 0)
  if (what !== 'word' && what !== 'line') throw new EngineError('REQUEST_INVALID', { request: shown(what) })
  const { recording, steps } = yield* recordedSteps(network, recorder, request)
  const place = placeAfter(network, recording, steps)
  const interventions = changesAfter(place, holds)
  const kinds = new Kinds(vocabulary)
  const most = MAX_SYMBOLS[what]
  const complete: { node: Node; ends: boolean }[] = []
  let beam: Node[] = [{ ids: [], logProbability: 0, inWord: false }]
  let [reads, state] = [Int32Array.of(place.reads), place.state]
  for (let depth = 0; beam.length; depth++) {
    const total = place.first + most + 1
    const options = { state, first: place.first + depth, total, interventions }
    const output = network.run(network.inputs(reads, beam.length), options)
    const logits = network.readOut(output.top, beam.length)
    toLogProbabilities(logits, beam.length)
    const children = beam.flatMap((node, row) =>
      expand(node, row, rowOf(logits, row, beam.length), kinds, what, complete),
    )
    children.sort((a, b) => b.logProbability - a.logProbability)
    const best = children.slice(0, BEAM_WIDTH)
    const bound = leastOf(complete)
    if (depth === most) complete.push(...beam.filter(({ ids }) => ids.length).map((node) => ({ node, ends: false })))
    const kept = depth === most ? [] : best.filter(({ logProbability }) => logProbability > bound)
    state = gathered(
      network,
      output.state,
      kept.map(({ row }) => row),
      beam.length,
    )
    reads = Int32Array.from(kept, ({ ids }) => ids.at(-1)!)
    beam = kept
    yield { done: depth + 1, total: most }
  }
  const before = request.steps == null ? text : steps ? 'x' : ''
  return complete
    .sort((a, b) => b.node.logProbability - a.node.logProbability)
    .map(({ node, ends }) => ({
      text: textOf(vocabulary, node.ids, before),
      probability: Math.exp(node.logProbability),
      ends,
    }))
    .filter(({ text: completed }) => completed !== '' && !completed.includes(REPLACEMENT))
    .slice(0, MAX_COMPLETIONS)
}

/** Return the children of a node that go on; what ends at the node or at a child is complete. */
function expand(
  node: Node,
  row: number,
  logProbabilities: Values,
  { word, ending, areWords }: Kinds,
  what: CompleteRequest['what'],
  complete: { node: Node; ends: boolean }[],
): (Node & { row: number })[] {
  const isWord = what === 'word' && !areWords && node.inWord
  if (isWord) {
    let ends = 0
    logProbabilities.forEach((value, id) => (ends += word[id] ? 0 : Math.exp(value)))
    complete.push({ node: { ...node, logProbability: node.logProbability + Math.log(ends) }, ends: true })
  }
  const children: (Node & { row: number })[] = []
  for (const id of ranked(logProbabilities, Math.min(BEAM_WIDTH, logProbabilities.length))) {
    if (isWord && !word[id]) continue
    const child = {
      ids: [...node.ids, id],
      logProbability: node.logProbability + logProbabilities[id]!,
      inWord: node.inWord || word[id] === 1,
      row,
    }
    const isComplete = ending[id] === 1 || (what === 'word' && areWords)
    if (isComplete) complete.push({ node: child, ends: true })
    else children.push(child)
  }
  return children
}

/** Return the log-probability of the last completion that is listed; -Infinity while there is room for more. */
function leastOf(complete: readonly { node: Node }[]): number {
  const sorted = complete.map(({ node }) => node.logProbability).sort((a, b) => b - a)
  return sorted[MAX_COMPLETIONS - 1] ?? -Infinity
}

const rowOf = (values: Values, row: number, rows: number): Values => {
  const width = values.length / rows
  return values.subarray(row * width, (row + 1) * width)
}

/** Return the states of some rows of a batch. */
function gathered(network: Network, state: State, rows: readonly number[], all: number): State {
  return state.map((states, k) => {
    const { neurons } = network.configuration.layers[k]!
    const pick = (values: Values): Values => {
      const picked = values.slice(0, 0).constructor as new (size: number) => Values
      const out = new picked(rows.length * neurons)
      rows.forEach((row, place) => out.set(rowOf(values, row, all), place * neurons))
      return out
    }
    return new Map([...states].map(([name, values]) => [name, pick(values)]))
  })
}

function textOf(vocabulary: Vocabulary, ids: readonly number[], before: string): string {
  const writer = new Writer(vocabulary, null, before)
  return ids.map((id) => writer.write(id)).join('') + writer.rest()
}

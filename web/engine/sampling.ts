// A network writes a text: each symbol is drawn from the prediction, and becomes the next input.
//
// The rules are those of src/gatescope/sampling.py, so the same seed writes the same text in Python and here.
import { checkChoice, type Choice, draw } from './choice'
import { EngineError, shown } from './errors'
import type { Intervention } from './interventions'
import type { Network, State } from './network'
import { Generator } from './random'
import type { Vocabulary } from './vocabulary'
import { Writer } from './writer'

/** A request for a text, as it arrives; missing settings have the values of Python. */
export interface SampleRequest {
  prime: string
  length?: number
  temperature?: number
  top_k?: number | null
  top_p?: number | null
  greedy?: boolean
  seed?: number | bigint
  /** A text after which writing ends. */
  stop?: string | null
  interventions?: readonly Intervention[]
}

export const MAX_LENGTH = 10_000
export const STREAM = 'sample' // of the random numbers
const PIECE_STEPS = 1024 // steps of the prime that are run together: bounds memory

/** Yield the text that continues a prime, piece by piece. Throws an EngineError before the first piece. */
export function sample(network: Network, request: SampleRequest): Iterable<string> {
  const { prime, length = 200, seed = 0, stop = null } = request
  const { temperature = 1, top_k: topK = null, top_p: topP = null, greedy = false } = request
  const { vocabulary } = network.configuration
  if (typeof prime !== 'string') throw new EngineError('SAMPLING_PRIME_TYPE', { prime: shown(prime) })
  checkWriter(network, length)
  const choice: Choice = { temperature, topK, topP, greedy }
  checkChoice(choice)
  const generator = new Generator(seed, STREAM)
  const tokens = vocabulary.encode(prime || beginningOf(vocabulary)) as Int32Array
  const symbols = drawnSymbols(network, tokens, length, choice, generator, request.interventions ?? [])
  return written(symbols, new Writer(vocabulary, stop || null, prime))
}

/** Refuse networks that predict no next symbol from what came before it, and lengths out of range. */
export function checkWriter({ configuration: { readout, bothWays } }: Network, length: number): void {
  if (readout.kind !== 'symbols' || readout.reads !== 'every step') throw new EngineError('SAMPLING_READOUT')
  if (bothWays) throw new EngineError('SAMPLING_READS_FROM_END')
  if (!Number.isInteger(length) || length < 0 || length > MAX_LENGTH)
    throw new EngineError('SAMPLING_LENGTH_RANGE', { length: shown(length), most: MAX_LENGTH })
}

/** Return the symbol that a network reads before it writes without a text. */
export const beginningOf = ({ end, symbols }: Vocabulary): string =>
  end ?? (symbols.includes('\n') ? '\n' : symbols[0]!)

function* written(symbols: Iterable<number>, writer: Writer): Iterable<string> {
  for (const symbol of symbols) {
    const piece = writer.write(symbol)
    if (piece) yield piece
    if (writer.ended) return
  }
  const rest = writer.rest()
  if (rest) yield rest
}

/** Yield one symbol at a time, drawn from the prediction after the symbol before. */
function* drawnSymbols(
  network: Network,
  tokens: Int32Array,
  length: number,
  choice: Choice,
  generator: Generator,
  interventions: readonly Intervention[],
): Iterable<number> {
  const total = tokens.length + length - 1
  let [reads, first, state] = [tokens, 0, null as State | null]
  for (let count = 0; count < length; count++) {
    let logits: ArrayLike<number> = []
    for (let from = 0; from < reads.length; from += PIECE_STEPS) {
      const piece = reads.subarray(from, from + PIECE_STEPS)
      const output = network.run(network.inputs(piece), { state, first, total, interventions })
      const width = output.top.length / piece.length
      logits = network.readOut(output.top.subarray((piece.length - 1) * width), 1)
      state = output.state
      first += piece.length
    }
    const symbol = draw(logits, choice, generator)
    yield symbol
    reads = Int32Array.of(symbol)
  }
}

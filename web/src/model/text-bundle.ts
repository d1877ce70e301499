// A pasted text as a task: the bundle that src/gatescope/training/bundle.py writes of it, made in the page.
//
// The twin of src/gatescope/tasks/text.py and src/gatescope/tasks/measures/text_score.py, with the same constants.
import type { TaskBundle } from '../data/playground'

/** The shares of the training, validation and test part. */
export const TEXT_SHARES = [0.9, 0.05, 0.05] as const
const RESTART_UPDATES = 64
const MIN_UNROLL = 16
const MIN_CHUNKS = 4
const USUAL = { batch: 64, unroll: 32 }
const STRETCHES = 100
const STRETCH_SYMBOLS = [200, 2000] as const
const WARM_UP_SYMBOLS = 100
const MAX_VALIDATION_SYMBOLS = 64_000
const TYPICAL_SHARE = 0.9
const EXAMPLE_SYMBOLS = 200

/** What stands for a symbol that the training part does not have. */
const UNKNOWN = '\uFFFD'

/** The lengths of a text, in symbols: a shorter one has no part to validate on, a longer one fills the page. */
export const MIN_TEXT = 60
export const MAX_TEXT = 100_000

type Place = [start: number, first: number, end: number]

/** Round as Python does: a half to the even number. */
function rounded(value: number): number {
  const up = Math.round(value)
  return value % 1 === 0.5 && up % 2 ? up - 1 : up
}

/** Cut a text into stretches of nearly equal length: where reading starts, the first symbol that counts, and the end. */
function stretches(symbols: number, most = Infinity): Place[] {
  const [shortest, longest] = STRETCH_SYMBOLS
  const usual = Math.min(longest, Math.max(shortest, Math.floor(symbols / STRETCHES)))
  const count = Math.max(1, Math.floor(symbols / usual))
  const length = most === Infinity ? symbols : Math.max(2, Math.floor(most / count))
  return Array.from({ length: count }, (_, k) => {
    const first = Math.floor((symbols * k) / count)
    const end = Math.min(Math.floor((symbols * (k + 1)) / count), first + length)
    return [Math.max(0, first - WARM_UP_SYMBOLS), Math.max(1, first), end]
  })
}

/** Return the loss of guessing the symbols of a test part by how often they occur in the training part. */
function chanceOf(training: readonly string[], test: readonly string[], symbols: readonly string[]): number {
  const counts = new Map(symbols.map((symbol) => [symbol, 1]))
  const seen = training.filter((symbol) => counts.has(symbol))
  for (const symbol of seen) counts.set(symbol, counts.get(symbol)! + 1)
  const total = seen.length + symbols.length
  let [nats, targets] = [0, 0]
  for (const symbol of test.slice(1)) {
    const count = counts.get(symbol)
    if (count === undefined) continue
    nats -= Math.log(count / total)
    targets++
  }
  return targets ? nats / targets : Math.log(symbols.length)
}

/** Return the streams and the steps of a stream that fit a training part. */
function fitted(symbols: number): { batch: number; unroll: number } {
  let { batch, unroll } = USUAL
  while (batch > 1 && batch * unroll * MIN_CHUNKS >= symbols) batch /= 2
  while (unroll > MIN_UNROLL && batch * unroll * MIN_CHUNKS >= symbols) unroll /= 2
  return { batch, unroll }
}

/** Return a text as it is learned: with one kind of line ends, without a byte order mark and halves of characters. */
export const normalized = (text: string): string =>
  text
    .replace(/^\uFEFF/, '')
    .replace(/\r\n?/g, '\n')
    .replace(/\p{Surrogate}/gu, UNKNOWN)

/** Return the characters of the training, the validation and the test part of a text. */
export function partsOf(text: string): [string[], string[], string[]] {
  const all = [...normalized(text)]
  const [first, second] = [TEXT_SHARES[0], TEXT_SHARES[0] + TEXT_SHARES[1]].map((share) => rounded(all.length * share))
  return [all.slice(0, first), all.slice(first, second), all.slice(second)]
}

/**
 * Return the bundle of a text; null if it is too short or too long.
 *
 * `network` is the network.json of another bundle. `given` are the symbols of the network; null for those of the training part.
 */
export function textBundle(
  text: string,
  title: string,
  network: Record<string, unknown>,
  given: readonly string[] | null = null,
): TaskBundle | null {
  const parts = partsOf(text)
  const characters = parts.reduce((sum, { length }) => sum + length, 0)
  if (characters < MIN_TEXT || characters > MAX_TEXT) return null
  const known = new Set(given ?? parts[0])
  const symbols = given ? [...given] : [...known].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!)
  const read = (part: string[]): string[] => part.map((symbol) => (known.has(symbol) ? symbol : UNKNOWN))
  const [training, validation, test] = [read(parts[0]), read(parts[1]), read(parts[2])]
  const vocabulary = { unit: 'character' as const, end: null, symbols }
  const readout = { kind: 'symbols' as const, names: [], quantiles: [], reads: 'every step' as const }
  const recipe = {
    optimizer: 'adam',
    steps: 4000,
    learning_rate: 0.008,
    final_learning_rate: 0,
    schedule: 'cosine',
    warmup: 100,
    clip: 1,
    readout_decay: 0,
    report_every: 10,
    validate_every: 200,
    patience: null,
    until_solved: false,
    scores_while_training: true,
    ...fitted(training.length),
  }
  const data = {
    format: 1,
    task: 'text',
    title,
    question: '',
    vocabulary,
    readout,
    training: { kind: 'streams' as const, text: training.join(''), restart: RESTART_UPDATES },
    validation: {
      rule: 'nats',
      text: validation.join(''),
      stretches: stretches(validation.length, MAX_VALIDATION_SYMBOLS),
      typical_share: TYPICAL_SHARE,
    },
    score: {
      rule: 'nats' as const,
      text: test.join(''),
      stretches: stretches(test.length),
      chance: chanceOf(training, test, symbols),
    },
    remembered: null,
    examples: [test.slice(0, EXAMPLE_SYMBOLS).join('')],
    suggested: { network: { ...network, vocabulary, readout }, recipe },
  }
  return data
}

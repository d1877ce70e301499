// The batches of a training: sequences side by side, and their targets. A batch depends on the seed and its number only.
//
// T step, B row, P place (a step of a row that has a target), V symbol.
import { EngineError } from '../errors'
import { Generator } from '../random'
import type { Bundle, Row, TrainingData } from './bundle'
import type { Targets } from './loss'
import type { Recipe } from './recipe'

export interface Batch {
  steps: number
  rows: number
  /** Symbols (T, B); -1 for padding. */
  ids: Int32Array
  /** (B,); null: every row has T steps. */
  lengths: Int32Array | null
  /** t · B + b of each place, (P,). */
  places: Int32Array
  targets: Targets
  /** For each row, whether it goes on where the same row of the batch before ended; null: no row does. */
  continues: boolean[] | null
}

/** Return the batch number `step`, from 0. */
export function batchOf(bundle: Bundle, recipe: Recipe, seed: number | bigint, step: number): Batch {
  const { training, score } = bundle
  if (training.kind === 'streams') return streams(training, bundle.vocabulary.size, recipe, seed, step)
  const chosen = drawStrings(training, new Generator(seed, `batch.${step}`), recipe.batch)
  const batch = sideBySide(chosen.map((k) => training.strings[k]!))
  if (training.targetRows === null || score.rule === 'nats') return batch
  const rows = chosen.map((k) => training.targetRows![k]!)
  return { ...batch, targets: { probabilities: likely(batch, rows, score.rows, bundle.vocabulary.size) } }
}

type Strings = Extract<TrainingData, { kind: 'strings' }>
type Streams = Extract<TrainingData, { kind: 'streams' }>

/** Draw the numbers of strings. */
function drawStrings({ strings, edges }: Strings, generator: Generator, count: number): number[] {
  return Array.from({ length: count }, () => {
    if (edges === null) return generator.below(strings.length)
    const height = generator.uniform() * edges.at(-1)!
    const place = edges.findIndex((edge) => height < edge)
    return place < 0 ? strings.length - 1 : place
  })
}

/** Return strings as the rows of a batch. The last symbol of each is a target only. */
export function sideBySide(strings: readonly Int32Array[]): Batch {
  const rows = strings.length
  const lengths = Int32Array.from(strings, (string) => string.length - 1)
  const steps = lengths.reduce((most, length) => Math.max(most, length), 0)
  const ids = new Int32Array(steps * rows).fill(-1)
  const places: number[] = []
  const targets: number[] = []
  for (let t = 0; t < steps; t++)
    for (let row = 0; row < rows; row++) {
      if (t >= lengths[row]!) continue
      ids[t * rows + row] = strings[row]![t]!
      places.push(t * rows + row)
      targets.push(strings[row]![t + 1]!)
    }
  return {
    steps,
    rows,
    ids,
    lengths: lengths.every((length) => length === steps) ? null : lengths,
    places: Int32Array.from(places),
    targets: { ids: Int32Array.from(targets) },
    continues: null,
  }
}

/** Return the true probabilities of the next symbol at each place, (P, V). */
function likely(batch: Batch, codes: readonly Int32Array[], rows: readonly Row[], size: number): Float64Array {
  const probabilities = new Float64Array(batch.places.length * size)
  batch.places.forEach((place, k) => {
    const [t, row] = [Math.floor(place / batch.rows), place % batch.rows]
    probabilities.set(rows[codes[row]![t]!]!.likely!, k * size)
  })
  return probabilities
}

/**
 * Return one step of streams that read a text side by side; the text is a ring.
 *
 * Each epoch starts at a place of its own. A stream restarts from the initial state every `restart` steps, one after the
 * other. The symbol after the last one of the text, and unknown symbols, are no targets.
 */
function streams(training: Streams, size: number, recipe: Recipe, seed: number | bigint, step: number): Batch {
  const { ids: ring, restart } = training
  const [rows, steps] = [recipe.batch, recipe.unroll ?? 0]
  const chunks = Math.floor((ring.length - 1) / (rows * steps))
  if (!(chunks >= 1))
    throw new EngineError('TRAINING_TEXT_TOO_SHORT', { symbols: ring.length, batch: rows, unroll: steps })
  const [epoch, chunk] = [Math.floor(step / chunks), step % chunks]
  const offset = new Generator(seed, `epoch.${epoch}`).below(ring.length)
  const ids = new Int32Array(steps * rows)
  const places: number[] = []
  const targets: number[] = []
  for (let t = 0; t < steps; t++)
    for (let row = 0; row < rows; row++) {
      const at = offset + row * chunks * steps + chunk * steps + t
      const next = (at + 1) % ring.length
      ids[t * rows + row] = ring[at % ring.length]!
      const target = ring[next]!
      if (next === 0 || target < 0 || target >= size) continue
      places.push(t * rows + row)
      targets.push(target)
    }
  const sinceRestart = (row: number): number => (chunk + Math.floor((row * restart) / rows)) % restart
  return {
    steps,
    rows,
    ids,
    lengths: null,
    places: Int32Array.from(places),
    targets: { ids: Int32Array.from(targets) },
    continues: Array.from({ length: rows }, (_, row) => sinceRestart(row) > 0 && chunk > 0),
  }
}

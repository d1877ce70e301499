// The numbers of the map over all pairs of steps, as a table.
import type { PairMap } from '../data/gradients'
import type { CsvColumn } from '../model/csv'

/** Return a row for each pair of steps: the earlier and the later one, their symbols, and the logarithm of the norm. */
export function pairColumns({ labels, steps }: PairMap, values: ArrayLike<number>): CsvColumn[] {
  const length = (steps * (steps + 1)) / 2
  const after = new Int32Array(length)
  const before = new Int32Array(length)
  for (let t = 0, k = 0; t < steps; t++)
    for (let s = 0; s <= t; s++, k++) {
      after[k] = t
      before[k] = s
    }
  const column = (name: string, value: (row: number) => string | number): CsvColumn => ({ name, length, value })
  return [
    column('before', (row) => before[row]!),
    column('after', (row) => after[row]!),
    column('symbol_before', (row) => labels[before[row]!] ?? ''),
    column('symbol_after', (row) => labels[after[row]!] ?? ''),
    { ...column('log_norm', (row) => values[after[row]! * steps + before[row]!]!), double: true },
  ]
}

// The paths of one weight in print: factors, products and derivations.
import type { WeightPaths } from '../data/weight-paths'
import { text } from '../messages/text'
import { minus } from './numbers'

/** Print a number with some significant digits. */
export function significantDigits(value: number, count: number): string {
  return value === 0 ? '0' : value.toPrecision(count).replaceAll('-', '−').replace('e+', 'e')
}

/** Print the numbers of a product, negative ones in brackets. */
export function productText(factors: number[]): string {
  return factors
    .map((factor) => (factor < 0 ? `(${significantDigits(factor, 4)})` : significantDigits(factor, 4)))
    .join(' · ')
}

/** Return the derivation of each factor from the equations of the cell, each once; weights have none. */
export function derivations({ columns }: WeightPaths): [string, string][] {
  const derivationOf = new Map<string, string>()
  columns.names.forEach((names, row) =>
    names.forEach((name, k) => {
      const derivation = columns.derived[row]?.[k]
      if (name.startsWith('∂L/')) derivationOf.set(name, text('PATHS_LOSS_DERIVATIVE'))
      else if (derivation) derivationOf.set(name, minus(derivation))
    }),
  )
  return [...derivationOf]
}

/** Name the path of a row. */
export function pathName({ columns: { kind, place, neuron } }: WeightPaths, row: number): string {
  if (kind[row] === 'at once') return text('PATHS_AT_ONCE')
  if (kind[row] === 'straight on') return text('PATHS_STRAIGHT_ON')
  if (kind[row] === 'start') return text('PATHS_START')
  const [of, through] = [neuron[row] ?? null, place[row] ?? '']
  return of === null
    ? text('PATHS_THROUGH', { place: through })
    : text('PATHS_THROUGH_NEURON', { place: through, neuron: of })
}

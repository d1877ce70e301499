// The paths of one weight in print: factors, products and derivations.
import type { WeightPaths } from '../data/weight-paths'

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
      if (derivation) derivationOf.set(name, derivation)
    }),
  )
  return [...derivationOf]
}

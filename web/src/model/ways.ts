// The ways of one weight in print: factors, products and derivations.
import type { Ways } from '../data/ways'

/** A number with so many digits that count, whatever its size, and a real minus sign. */
export function toDigits(value: number, count: number): string {
  return value === 0 ? '0' : value.toPrecision(count).replaceAll('-', '−').replace('e+', 'e')
}

/** The numbers of a product; a negative one stands in brackets. */
export function productText(factors: number[]): string {
  return factors.map((factor) => (factor < 0 ? `(${toDigits(factor, 4)})` : toDigits(factor, 4))).join(' · ')
}

/** What each factor is by the equations of the cell, each once; those that are numbers of the network are not there. */
export function derivations({ columns }: Ways): [string, string][] {
  const derivationOf = new Map<string, string>()
  columns.names.forEach((names, row) =>
    names.forEach((name, k) => {
      const derivation = columns.derived[row]?.[k]
      if (derivation) derivationOf.set(name, derivation)
    }),
  )
  return [...derivationOf]
}

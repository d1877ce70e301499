// The ways of one weight in print: factors, products and derivations.
import type { Ways } from '../data/ways'

/** A number with so many digits that count, whatever its size, and a real minus sign. */
export function digits(value: number, count: number): string {
  return value === 0 ? '0' : value.toPrecision(count).replaceAll('-', '−').replace('e+', 'e')
}

/** The numbers of a product; a negative one stands in brackets. */
export function product(factors: number[]): string {
  return factors.map((factor) => (factor < 0 ? `(${digits(factor, 4)})` : digits(factor, 4))).join(' · ')
}

/** What each factor is by the equations of the cell, each once; those that are numbers of the network are not there. */
export function derivations({ columns }: Ways): [string, string][] {
  const found = new Map<string, string>()
  columns.names.forEach((names, row) =>
    names.forEach((name, k) => {
      const said = columns.derived[row]?.[k]
      if (said) found.set(name, said)
    }),
  )
  return [...found]
}

// Numbers in print: decimals, thousands and percentages, with a real minus sign.
import { grouped } from '../messages/grouped'
import { text } from '../messages/text'

export const minus = (text: string): string => text.replaceAll('-', '−')

/** Print a number with `digits` decimals; tiny and huge ones keep their magnitude. */
export function number(value: number, digits = 3): string {
  if (Number.isNaN(value)) return text('NUMBER_NO_DATA')
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞'
  const size = Math.abs(value)
  if (size >= 10 ** 6 || (size > 0 && size < 0.5 * 10 ** -digits))
    return minus(value.toExponential(1).replace('e+', 'e'))
  return minus(value.toFixed(digits))
}

/** Print a number with three digits that matter, and at most three decimals. */
export function shortNumber(value: number): string {
  if (Number.isNaN(value)) return text('NUMBER_UNKNOWN')
  const size = Math.abs(value)
  if (size < 1e-9) return '0' // rounding of what should be 0
  const digits =
    size < 0.0005 ? size.toExponential(1) : String(Number(size.toFixed(size < 10 ? 3 : size < 100 ? 2 : 1)))
  return (value < 0 && Number(digits) !== 0 ? '−' : '') + digits.replace('-', '−')
}

/** Print a change with its sign, also where it is positive. */
export function signed(value: number, digits = 3): string {
  return (value > 0 ? '+' : '') + number(value, digits)
}

export function thousands(value: number): string {
  return grouped(Math.round(value))
}

/** Print a probability: 97 %, 0.4 %, under 0.1 %. */
export function percent(probability: number): string {
  const share = probability * 100
  if (Number.isNaN(share)) return text('NUMBER_NO_DATA')
  if (share > 0 && share < 0.1) return text('PERCENT_TINY')
  if (share < 100 && share > 99.5) return text('PERCENT', { share: (Math.floor(share * 10) / 10).toFixed(1) })
  return text('PERCENT', { share: share < 9.95 ? Number(share.toFixed(1)) : Math.round(share) })
}

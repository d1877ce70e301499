// Numbers as a reader sees them.

export const minus = (text: string): string => text.replaceAll('-', '−')

/** A number to `digits` decimals, with a real minus sign; tiny and huge ones keep their magnitude. */
export function number(value: number, digits = 3): string {
  if (Number.isNaN(value)) return 'no data'
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞'
  const size = Math.abs(value)
  if (size >= 10 ** 6 || (size > 0 && size < 0.5 * 10 ** -digits))
    return minus(value.toExponential(1).replace('e+', 'e'))
  return minus(value.toFixed(digits))
}

/** A number as it is said: three digits that matter, and no more than three behind the point. */
export function shortNumber(value: number): string {
  if (Number.isNaN(value)) return '?'
  const size = Math.abs(value)
  if (size < 1e-9) return '0' // rounding of what should be 0
  const text = size < 0.0005 ? size.toExponential(1) : String(Number(size.toFixed(size < 10 ? 3 : size < 100 ? 2 : 1)))
  return (value < 0 && Number(text) !== 0 ? '−' : '') + text.replace('-', '−')
}

export function thousands(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

export function plural(count: number, word: string): string {
  return `${thousands(count)} ${word}${count === 1 ? '' : 's'}`
}

/** A probability for a reader: 97 %, 0.4 %, under 0.1 %. */
export function percent(probability: number): string {
  const share = probability * 100
  if (Number.isNaN(share)) return 'no data'
  if (share > 0 && share < 0.1) return 'under 0.1 %'
  if (share < 100 && share > 99.5) return `${(Math.floor(share * 10) / 10).toFixed(1)} %`
  return `${share < 9.95 ? Number(share.toFixed(1)) : Math.round(share)} %`
}

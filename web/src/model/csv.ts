// Tables as CSV: RFC 4180 in UTF-8, numbers with the digits that give the same float32 back, and no formulas.

/** A value of a cell; NaN and null are empty. */
export type CsvValue = string | number | null

export interface CsvColumn {
  name: string
  /** The number of rows, and the value of each. */
  length: number
  value: (row: number) => CsvValue
  /** Whether numbers were computed in double precision. */
  double?: boolean
}

/** Spreadsheets compute a longer text that begins with one of these; a quote before it, or before a quote, makes it a text. */
const FORMULA = /^[=+\-@\t\r\n']./s

/** Print the shortest decimal number that gives the same number back in single precision. */
export function floatText(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return Object.is(value, -0) ? '-0.0' : String(value)
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  for (let digits = 6; digits < 9; digits++) {
    const text = value.toPrecision(digits)
    if (Math.fround(Number(text)) === value) return String(Number(text))
  }
  return String(Number(value.toPrecision(9)))
}

/** Return a cell of a CSV file. */
export function csvCell(value: CsvValue, double = false): string {
  if (value === null || (typeof value === 'number' && Number.isNaN(value))) return ''
  if (typeof value === 'number') return double && Number.isFinite(value) ? String(value) : floatText(value)
  const text = FORMULA.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text
}

const ROWS_AT_ONCE = 2000

/** Yield a CSV file piece by piece. */
export function* csvPieces(columns: readonly CsvColumn[]): Generator<string> {
  const rows = Math.max(0, ...columns.map(({ length }) => length))
  yield `${columns.map(({ name }) => csvCell(name)).join(',')}\r\n`
  const perPiece = Math.max(1, Math.floor((ROWS_AT_ONCE * 20) / Math.max(1, columns.length)))
  for (let from = 0; from < rows; from += perPiece) {
    let piece = ''
    for (let row = from; row < Math.min(rows, from + perPiece); row++)
      piece += `${columns.map(({ length, value, double }) => (row < length ? csvCell(value(row), double) : '')).join(',')}\r\n`
    yield piece
  }
}

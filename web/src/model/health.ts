// Health of neurons: their verdicts and time constants.
import { rows, type Table } from '../data/study'

export interface Health {
  neuron: number
  layer: string
  verdict: string
  twin: number
  /** In steps; null where there is none, Infinity where nothing is forgotten. */
  time: number | null
}

export interface Saturated {
  layer: string
  gate: string
  title: string
  neuron: number
  left: number
  right: number
}

export function timeConstant(value: unknown, verdict: string): number | null {
  if (typeof value === 'number') return value
  return value === 'infinite' || verdict.includes('forgets nothing') ? Infinity : null
}

/** 12.3 steps, in words. */
export function timeConstantText(time: number | null): string {
  if (time === null) return 'none: it keeps nothing by itself'
  if (time === Infinity) return 'endless: nothing is forgotten'
  return `${time >= 100 ? Math.round(time).toLocaleString('en-US') : Number(time.toPrecision(2))} steps`
}

export function healthOf(table: Table): Health[] {
  return rows(table).map((row) => ({
    layer: String(row['layer']),
    neuron: Number(row['neuron']),
    verdict: String(row['verdict']),
    twin: Number(row['twin']),
    time: timeConstant(row['time_constant'], String(row['verdict'])),
  }))
}

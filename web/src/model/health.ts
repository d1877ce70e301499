// Health of neurons: their verdicts and time constants.
import { rows, type Table } from '../data/study'
import { text } from '../messages/text'
import { thousands } from './numbers'

export interface Health {
  neuron: number
  layer: string
  verdict: string
  twin: number
  /** In steps; null if there is none, Infinity if nothing is forgotten. */
  time: number | null
}

/** The shares of the steps at which a gate of a neuron is nearly closed (`left`) and nearly open (`right`). */
export interface Saturated {
  layer: string
  gate: string
  title: string
  neuron: number
  left: number
  right: number
}

/** Return the time constant of a verdict in steps. */
export function timeConstant(value: unknown, verdict: string): number | null {
  if (typeof value === 'number') return value
  return value === 'infinite' || verdict.includes('forgets nothing') ? Infinity : null
}

/** Return a time constant in words: "12 steps". */
export function timeConstantText(time: number | null): string {
  if (time === null) return text('TIME_NONE')
  if (time === Infinity) return text('TIME_ENDLESS')
  return text('TIME_STEPS', { steps: time >= 100 ? thousands(time) : Number(time.toPrecision(2)) })
}

/** Read the table of the health study. */
export function healthOf(table: Table): Health[] {
  return rows(table).map((row) => ({
    layer: String(row['layer']),
    neuron: Number(row['neuron']),
    verdict: String(row['verdict']),
    twin: Number(row['twin']),
    time: timeConstant(row['time_constant'], String(row['verdict'])),
  }))
}

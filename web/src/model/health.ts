// Health of neurons: their verdicts and time constants.
import { type Row, rows, type Table } from '../data/study'
import { type Code, text } from '../messages/text'
import { thousands } from './numbers'

export interface Health {
  neuron: number
  layer: string
  /** What is unusual, in words; empty if nothing is. */
  verdict: string
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

const FINDINGS: Record<string, Code> = {
  HEALTH_NOT_NUMBERS: 'HEALTH_NOT_NUMBERS',
  HEALTH_DEAD_CONSTANT: 'HEALTH_DEAD_CONSTANT',
  HEALTH_DEAD_STILL: 'HEALTH_DEAD_STILL',
  HEALTH_MEMORY_STILL: 'HEALTH_MEMORY_STILL',
  HEALTH_DUPLICATE: 'HEALTH_DUPLICATE',
  HEALTH_MIRROR: 'HEALTH_MIRROR',
  HEALTH_GATE_OPEN: 'HEALTH_GATE_OPEN',
  HEALTH_GATE_CLOSED: 'HEALTH_GATE_CLOSED',
  HEALTH_FORGETS_NOTHING: 'HEALTH_FORGETS_NOTHING',
}

/** Return the codes of what is unusual about a neuron, each with the gate that it is about. */
function findingsOf(row: Row): { code: string; gate: string }[] {
  const findings = String(row['findings'] ?? '').split(' ')
  return findings.filter(Boolean).map((finding) => {
    const [code = '', gate = ''] = finding.split(':')
    return { code, gate }
  })
}

/** Return what is unusual about the neuron of a row in words; empty if nothing is. */
export function verdictOf(row: Row, gateTitle: (gate: string) => string): string {
  return findingsOf(row)
    .map(({ code, gate }) => {
      const known = FINDINGS[code]
      return known ? text(known, { twin: Number(row['twin']), gate: gateTitle(gate) }) : code
    })
    .reduce((first, last) => (first ? text('HEALTH_FINDING_AND', { first, last }) : last), '')
}

/** Return the time constant of the neuron of a row in steps. */
export function timeConstant(row: Row): number | null {
  const time = row['time_constant']
  if (typeof time === 'number') return time
  // JSON has no infinity: tables write null for it.
  return findingsOf(row).some(({ code }) => code === 'HEALTH_FORGETS_NOTHING') ? Infinity : null
}

/** Return a time constant in words: "12 steps". */
export function timeConstantText(time: number | null): string {
  if (time === null) return text('TIME_NONE')
  if (time === Infinity) return text('TIME_ENDLESS')
  return text('TIME_STEPS', { steps: time >= 100 ? thousands(time) : Number(time.toPrecision(2)) })
}

/** Read the tables of the health study. */
export function healthOf(health: Table, saturation: Table): Health[] {
  const titles = new Map(rows(saturation).map((row) => [`${row['layer']} ${row['gate']}`, String(row['title'])]))
  return rows(health).map((row) => ({
    layer: String(row['layer']),
    neuron: Number(row['neuron']),
    verdict: verdictOf(row, (gate) => titles.get(`${row['layer']} ${gate}`) ?? gate),
    time: timeConstant(row),
  }))
}

// The order of findings, and their sentences.
import type { Finding } from '../data/findings'
import { titleOf } from '../data/localized'
import type { Summary } from '../data/run'
import { START, type ViewState } from '../data/view'
import { type Code, text } from '../messages/text'
import { characterName } from './characters'
import { measureName } from './labels'

/** A finding and its run. */
export interface FindingOfRun {
  run: Summary
  finding: Finding
}

/** The kind that leads the landing page, if a run has it, and the task whose strings show it best. */
const LEADING_KIND = 'counts'
const LEADING_TASK = 'counter'

/** The kinds, in the order in which the landing page shows one finding of each. */
const KINDS = [
  'remembers',
  'quotes',
  'indentation',
  'fails',
  'wrote',
  'left_out',
  'forgets',
  'marks',
  'writes',
  'counts',
  'brackets',
  'parity',
  'line',
  'follows',
  'ends',
]

/** The sentences of findings; src/gatescope/explorer/findings has their values. */
const SENTENCES: readonly Code[] = [
  'FINDING_COUNTS_UP',
  'FINDING_COUNTS_DOWN',
  'FINDING_REMEMBERS_START',
  'FINDING_KEEPS_APART',
  'FINDING_MARKS',
  'FINDING_WRITES_NEXT',
  'FINDING_PARITY',
  'FINDING_INNERMOST',
  'FINDING_LEFT_OUT',
  'FINDING_LEFT_OUT_CHANGE',
  'FINDING_FORGETS',
  'FINDING_FAILS_AT_N',
  'FINDING_FAILS_AT',
  'FINDING_IN_QUOTES',
  'FINDING_IN_QUOTES_LATE',
  'FINDING_INDENTATION',
  'FINDING_COUNTS_INDENTATION',
  'FINDING_IN_INDENTATION',
  'FINDING_IN_BRACKETS',
  'FINDING_IN_LINE',
  'FINDING_FOLLOWS',
  'FINDING_WROTE',
]
/** Values that are symbols of the text, quoted in a sentence. */
const QUOTED = ['symbol', 'other', 'expected', 'target']
/** Values that are changes, with a sign. */
const SIGNED = ['by_up', 'by_down', 'by_symbol']

/** Return a value as its sentence prints it. */
function printed(name: string, value: string | number): string | number {
  if (typeof value === 'string') return QUOTED.includes(name) ? characterName(value) : value
  const isSigned = SIGNED.includes(name) && value !== 0
  if (Number.isInteger(value) && !isSigned) return value
  const size = String(Math.abs(value))
  return value < 0 ? `−${size}` : isSigned ? `+${size}` : size
}

/** Return the sentence of a finding; empty for one that a newer server found. */
export function findingSentence({ code, values }: Finding): string {
  const known = SENTENCES.find((sentence) => sentence === code)
  const { feature, title } = values
  const named = feature && title ? { ...values, title: titleOf('feature', String(feature), String(title)) } : values
  const entries = Object.entries(named).map(([name, value]) => [name, printed(name, value)] as const)
  return known ? text(known, Object.fromEntries(entries)) : ''
}

/** Return the measurement behind a finding in words; empty for a fact. */
export function evidenceText({ evidence, values }: Finding): string {
  if (!evidence) return ''
  const { chance, steps } = evidence
  if (evidence.measure === 'share') return text('EVIDENCE_SHARE', { cases: steps })
  if (evidence.measure === 'mean') return text('EVIDENCE_MEAN', { cases: steps })
  const measure = measureName(evidence.measure)
  const score = evidence.score.toFixed(2)
  const parts = [
    chance === null
      ? text('EVIDENCE', { measure, score, steps })
      : text('EVIDENCE_CHANCE', { measure, score, steps, chance: chance.toFixed(2) }),
  ]
  const lag = Number(values['lag'] ?? 0)
  if (values['high'] === 0 && evidence.measure === 'AUROC') parts.push(text('EVIDENCE_LOWER'))
  if (lag > 0) parts.push(text('EVIDENCE_AFTER', { steps: lag }))
  if (lag < 0) parts.push(text('EVIDENCE_BEFORE', { steps: -lag }))
  return parts.join(text('LIST_CLAUSES'))
}

/** Return the finding that leads: of a counter if there is one, else the first one with a picture; null without any. */
export function leadingFinding(findings: readonly FindingOfRun[]): FindingOfRun | null {
  const counts = findings.filter(({ finding }) => finding.kind === LEADING_KIND)
  return (
    counts.find(({ run }) => run.task.name === LEADING_TASK) ??
    counts[0] ??
    inOrder(findings).find(({ finding }) => finding.picture !== null) ??
    null
  )
}

/** Return findings in the order of the page: the best of each kind first, then the others. */
export function inOrder(findings: readonly FindingOfRun[]): FindingOfRun[] {
  const known = findings.filter(({ finding }) => findingSentence(finding) !== '')
  const rank = ({ finding }: FindingOfRun): number => {
    const place = KINDS.indexOf(finding.kind)
    return place < 0 ? KINDS.length : place
  }
  const isLow = ({ finding }: FindingOfRun): number => Number(finding.values['high'] === 0)
  const isLeading = ({ run }: FindingOfRun): number => Number(run.task.name === LEADING_TASK)
  const sorted = [...known].sort(
    (a, b) => rank(a) - rank(b) || strengthOf(b) - strengthOf(a) || isLow(a) - isLow(b) || isLeading(b) - isLeading(a),
  )
  const isFirst = (item: FindingOfRun, k: number): boolean => sorted[k - 1]?.finding.kind !== item.finding.kind
  return [...sorted.filter(isFirst), ...sorted.filter((item, k) => !isFirst(item, k))]
}

const strengthOf = ({ finding: { evidence } }: FindingOfRun): number =>
  evidence === null ? 0 : evidence.measure === 'AUROC' ? 2 * evidence.score - 1 : evidence.score

/** A part of a picture; `marked` is the cell of a failure, -1 for none. */
interface VisiblePart {
  labels: string[]
  values: number[]
  isCutBefore: boolean
  isCutAfter: boolean
  marked: number
}

/** Return the part of a picture of at most some cells in which the step of its finding stands near the end. */
export function visiblePart({ kind, picture, place }: Finding, cells: number): VisiblePart {
  if (!picture) return { labels: [], values: [], isCutBefore: false, isCutAfter: false, marked: -1 }
  const step = (place.step ?? picture.first) - picture.first
  const first = Math.max(0, Math.min(step - Math.floor((2 * cells) / 3), picture.labels.length - cells))
  const part = <T>(all: readonly T[]): T[] => all.slice(first, first + cells)
  return {
    labels: part(picture.labels),
    values: part(picture.strips[0]?.values ?? []),
    isCutBefore: picture.first + first > 0,
    isCutAfter: first + cells < picture.labels.length,
    marked: kind === 'fails' ? step - first : -1,
  }
}

/**
 * Return the view that shows a finding. A signal without bounds has scales of each neuron: on one for all, a single large
 * neuron makes the one of the finding pale.
 */
export function viewOf({ run, finding: { place, picture } }: FindingOfRun): ViewState {
  const isUnbounded = picture !== null && (picture.low === null || picture.high === null)
  const scale = isUnbounded && place.neuron !== null ? 'neuron' : START.scale
  return { ...START, scale, ...place, run: run.name }
}

/** Return a strip in words, for a reader who hears it: the name of its neuron, and each character with its value. */
export function cellsText(name: string, labels: readonly string[], values: ArrayLike<number>): string {
  const steps = labels.map((label, step) => `${characterName(label)} ${shortValue(values[step] ?? NaN)}`)
  return text('CELLS_IN_WORDS', { name, values: steps.join(text('LIST_CLAUSES')) })
}

const shortValue = (value: number): string => value.toFixed(1).replace('-', '−')

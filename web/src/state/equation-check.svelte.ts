// The check of the equations of what is on the screen, which follows after the picture.
import { type Check, type Source, SourceError, type TraceRequest } from '../data/source'
import type { Trace } from '../data/trace'
import { painted } from './idle'
import { Latest } from './requests'

/** The codes of the errors that say that an equation does not hold. */
const FAILED = ['EXPLORER_CHECK_FAILED', 'CHECK_FAILED']
const RETRY_MS = 1000
const MAX_TRIES = 5

export type CheckState =
  | { state: 'checking' }
  | ({ state: 'holds' } & Check)
  /** An equation does not hold. */
  | { state: 'fails'; problem: string }
  /** It is not known whether the equations hold. */
  | { state: 'unknown'; problem: string }

const CHECKING: CheckState = { state: 'checking' }

export class EquationCheck {
  readonly #requests = new Latest(0)
  /** What is known of each trace that was shown. */
  readonly #known = new WeakMap<Trace, CheckState>()
  #now = $state.raw<{ trace: Trace; check: CheckState } | null>(null)
  #retry: (() => void) | null = null

  constructor(private readonly source: Source) {}

  /** Return what is known about a trace. */
  of(trace: Trace): CheckState {
    return this.#now?.trace === trace ? this.#now.check : (this.#known.get(trace) ?? CHECKING)
  }

  /** Check the trace on the screen, unless it is checked; the check of another one is given up. */
  follow(run: string, request: TraceRequest, trace: Trace): void {
    if (this.#now?.trace === trace) return
    const known = this.#known.get(trace) ?? stateOf(trace)
    this.#now = { trace, check: known }
    this.#retry = null
    if (known.state !== 'checking') return this.#requests.cancel()
    this.#check(run, request, trace)
  }

  /** Check the trace on the screen once more, if it is not known whether its equations hold. */
  again(): void {
    this.#retry?.()
  }

  #check(run: string, request: TraceRequest, trace: Trace): void {
    const report = (check: CheckState): void => {
      if (check.state === 'holds' || check.state === 'fails') this.#known.set(trace, check)
      if (this.#now?.trace === trace) this.#now = { trace, check }
    }
    this.#retry = () => {
      report(CHECKING)
      this.#check(run, request, trace)
    }
    this.#requests.request(async (signal) => {
      // The picture comes first.
      await painted()
      for (let tries = 1; this.#now?.trace === trace && !signal.aborted; tries++)
        try {
          return report({ state: 'holds', ...(await this.source.check(run, request, trace, { signal })) })
        } catch (error) {
          if (signal.aborted) return
          const isKnown = error instanceof SourceError
          const [code, problem] = isKnown ? [error.code, error.problem] : [null, String(error)]
          if (code !== null && FAILED.includes(code)) return report({ state: 'fails', problem })
          // A busy or restarting server may answer a little later.
          if (tries === MAX_TRIES) return report({ state: 'unknown', problem })
          await new Promise((done) => setTimeout(done, RETRY_MS))
        }
    })
  }
}

/** Return what a trace itself says: it was checked already, or has no steps. */
function stateOf({ residual, tolerance, steps }: Trace): CheckState {
  if (Number.isNaN(residual)) return steps ? CHECKING : { state: 'holds', residual: 0, tolerance, steps }
  if (residual <= tolerance) return { state: 'holds', residual, tolerance, steps }
  return CHECKING
}

// A training on the machine of the server, before it begins: its command, and what the server has against it.
import type { Acts } from '../data/acts'
import { beginTraining, commandOf, type OwnText } from '../data/machine-training'
import { sentenceOf } from '../data/source-error'

/** Time after the last change until the command is asked for. */
const CALM_MS = 200

export class MachineTraining {
  /** The command of the form; null before the first one, and for a form that the server refuses. */
  command = $state<string | null>(null)
  /** Whether the command is that of the form as it is now. */
  isCurrent = $state(false)
  problem = $state<string | null>(null)
  /** Whether a training is about to begin. */
  busy = $state(false)
  #asked = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(private readonly acts: Acts) {}

  /** Ask for the command of a request; the last request counts. */
  ask(request: object): void {
    if (this.busy) return // the list of runs gets the run that begins
    const number = ++this.#asked
    this.isCurrent = false
    clearTimeout(this.#timer)
    this.#timer = setTimeout(async () => {
      try {
        const { command } = await commandOf(this.acts, request)
        if (number !== this.#asked) return
        this.command = command
        this.isCurrent = true
        this.problem = null
      } catch (error) {
        if (number !== this.#asked) return
        this.command = null
        this.problem = sentenceOf(error)
      }
    }, CALM_MS)
  }

  /** Begin a training. Returns the name of its run; null if it was refused. */
  async begin(request: object, own: OwnText | null): Promise<string | null> {
    this.busy = true
    this.problem = null
    try {
      return (await beginTraining(this.acts, request, own)).run
    } catch (error) {
      this.problem = sentenceOf(error)
      return null
    } finally {
      this.busy = false
    }
  }

  close(): void {
    this.#asked++
    clearTimeout(this.#timer)
  }
}

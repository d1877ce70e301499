// A training on the machine of the server, before it begins: its command, and what the server has against it.
import type { Acts } from '../data/acts'
import { beginTraining, commandOf, type OwnText } from '../data/machine-training'
import { sentenceOf } from '../data/source-error'

/** Time after the last change until the command is asked for. */
const CALM_MS = 200

export class MachineTraining {
  /** The command of the form as it is; null while it is not known. */
  command = $state<string | null>(null)
  problem = $state<string | null>(null)
  /** Whether a training is about to begin. */
  busy = $state(false)
  #asked = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(private readonly acts: Acts) {}

  /** Ask for the command of a request; the last request counts. */
  ask(request: object): void {
    const number = ++this.#asked
    clearTimeout(this.#timer)
    this.#timer = setTimeout(async () => {
      try {
        const { command } = await commandOf(this.acts, request)
        if (number !== this.#asked) return
        this.command = command
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

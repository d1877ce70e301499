// The explorer as a whole page.
import { mount } from 'svelte'
import type { Source } from '../data/source'
import '../page.css'
import App from '../pages/App.svelte'
import { Explorer } from '../state/explorer.svelte'

/** Show the explorer of a source in an element of the document. */
export function mountPage(target: HTMLElement, source: Source): void {
  mount(App, { target, props: { explorer: new Explorer(source) } })
}

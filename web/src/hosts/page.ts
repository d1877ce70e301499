// The explorer as a page of the local server.
import { mount } from 'svelte'
import { Explorer } from '../explorer.svelte'
import '../page.css'
import { HttpSource } from '../source'
import App from '../views/App.svelte'

const explorer = new Explorer(new HttpSource())
mount(App, { target: document.getElementById('page')!, props: { explorer } })

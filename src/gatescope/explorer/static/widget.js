function e(e, t, n) {
	let { gatescope: r, height: i } = t ?? {};
	r === "height" && typeof i == "number" && i >= 0 && (e.style.height = `${Math.min(n, Math.max(160, Math.ceil(i)))}px`);
}
// live/widget.ts
var t = [
	"text",
	"layer",
	"signal",
	"neuron",
	"step",
	"steps",
	"holds"
];
function n({ model: n, el: r }) {
	let i = document.createElement("iframe");
	i.setAttribute("sandbox", "allow-scripts allow-downloads"), i.allow = "clipboard-write", i.title = String(n.get("title"));
	let a = () => Number(n.get("height"));
	Object.assign(i.style, {
		display: "block",
		width: "100%",
		height: `${a()}px`,
		border: "0"
	});
	let o = !1, s = (e) => {
		let t = Object.fromEntries(e.map((e) => [e, n.get(e)]));
		i.contentWindow?.postMessage({
			gatescope: "view",
			view: t
		}, "*");
	}, c = (e) => {
		o = !0;
		for (let r of t) r in e && JSON.stringify(e[r]) !== JSON.stringify(n.get(r)) && n.set(r, e[r]);
		o = !1;
		try {
			n.save_changes();
		} catch {}
	}, l = ({ source: n, data: r }) => {
		n === i.contentWindow && r && (r.gatescope === "ready" ? s(t) : r.gatescope === "view" && typeof r.view == "object" && r.view !== null ? c(r.view) : e(i, r, a()));
	}, u = t.map((e) => [`change:${e}`, () => o || s([e])]);
	window.addEventListener("message", l);
	for (let [e, t] of u) n.on(e, t);
	return i.srcdoc = String(n.get("document")), r.append(i), () => {
		window.removeEventListener("message", l);
		for (let [e, t] of u) n.off(e, t);
		i.remove();
	};
}
var r = { render: n };
export { r as default };

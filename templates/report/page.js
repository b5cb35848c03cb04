// A strip becomes a slider: arrow keys, a tap or the mouse choose one of its slots, and the line below says what became of it.
(() => {
    const figures = JSON.parse(document.getElementById("figures").textContent);
    const words = { ok: "ok", unproven: "ok, but unproven", failed: "failed", lost: "lost", pending: "without an answer yet", no_call: "ticks made no call" };
    const bad = (slot) => Boolean(slot && (slot.failed || slot.no_call || slot.lost));
    const two = (number) => String(number).padStart(2, "0");
    const days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const clock = (at) => `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
    const date = (at) => `${days[at.getUTCDay()]} ${at.getUTCFullYear()}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`;
    const took = (ms) => (ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`);

    for (const element of document.querySelectorAll(".strip")) {
        const job = figures.jobs[Number(element.dataset.job)];
        const strip = job.strips[element.dataset.strip];
        const slots = new Map(strip.slots.map((slot) => [slot.slot, slot]));
        const cells = element.children;
        const last = strip.slots_count - 1;
        const line = document.createElement("output");
        line.setAttribute("aria-hidden", "true");
        line.hidden = true;
        element.nextElementSibling.after(line);
        let chosen = last;

        const said = (number) => {
            const begins = new Date(Date.parse(strip.begins_at) + number * strip.slot_minutes * 60000);
            const ends = new Date(begins.getTime() + strip.slot_minutes * 60000);
            const slot = slots.get(number);
            const when = `${date(begins)}, ${clock(begins)} to ${clock(ends)} UTC`;
            if (!slot) return `${when}: nothing`;
            const parts = Object.keys(words).filter((name) => slot[name]).map((name) => `${slot[name]} ${words[name]}`);
            if (slot.median_ms !== undefined) parts.push(`median ${took(slot.median_ms)}`);
            const id = slot.failed_id ?? slot.id;
            const show = id === undefined ? "" : `. ${slot.failed_id ? "Newest failed" : "Newest"}: ${figures.show_call.replace("ID", id)}`;
            return `${when}: ${parts.join(", ")}${show}`;
        };
        const choose = (number) => {
            cells[chosen].removeAttribute("data-on");
            chosen = Math.min(Math.max(number, 0), last);
            cells[chosen].setAttribute("data-on", "");
            const text = said(chosen);
            element.setAttribute("aria-valuenow", String(chosen));
            element.setAttribute("aria-valuetext", text);
            line.textContent = text;
            line.hidden = false;
        };
        const failure = (step) => {
            for (let number = chosen + step; number >= 0 && number <= last; number += step) {
                if (bad(slots.get(number))) return number;
            }
            return chosen;
        };
        const keys = {
            ArrowLeft: () => chosen - 1,
            ArrowDown: () => chosen - 1,
            ArrowRight: () => chosen + 1,
            ArrowUp: () => chosen + 1,
            Home: () => 0,
            End: () => last,
            PageUp: () => failure(-1),
            PageDown: () => failure(1),
        };
        const at = (event) => {
            const box = element.getBoundingClientRect();
            return Math.floor(((event.clientX - box.left) / box.width) * strip.slots_count);
        };
        element.setAttribute("role", "slider");
        element.setAttribute("tabindex", "0");
        element.setAttribute("aria-valuemin", "0");
        element.setAttribute("aria-valuemax", String(last));
        element.setAttribute("aria-valuenow", String(last));
        element.setAttribute("aria-valuetext", said(last));
        element.addEventListener("keydown", (event) => {
            if (!keys[event.key] || event.altKey || event.ctrlKey || event.metaKey) return;
            event.preventDefault();
            choose(keys[event.key]());
        });
        element.addEventListener("focus", () => choose(chosen));
        element.addEventListener("pointerdown", (event) => choose(at(event)));
        element.addEventListener("pointermove", (event) => choose(at(event)));
    }
    // what is folded away is printed, too
    let opened = [];
    addEventListener("beforeprint", () => {
        opened = [...document.querySelectorAll("details:not([open])")];
        for (const one of opened) one.open = true;
    });
    addEventListener("afterprint", () => {
        for (const one of opened) one.open = false;
    });
})();

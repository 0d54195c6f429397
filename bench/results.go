//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// results is RESULTS.md.
func (b *bench) results(sections []section) string {
	var w strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&w, format+"\n", args...) }
	list := func(title string, lines []string) {
		if len(lines) == 0 {
			return
		}
		say("\n%s\n", title)
		for _, l := range lines {
			say("- %s", l)
		}
	}

	say("# The runner beside other load generators\n")
	say("Measured on %s by `go run ./bench%s` in %v. A figure is the median of its runs, with the least and the most in brackets. The client has core %d, the target core %d of the same machine; each run has a new target.",
		time.Now().UTC().Format("2006-01-02"), b.flags(), time.Since(b.began).Round(time.Second), clientCore(), targetCore())
	list("## Machine and versions", b.machine())

	promised := table{head: []string{"figure", "goal", "measured", "reached"}}
	var behind, failed []string
	for _, s := range sections {
		for _, g := range s.goals {
			reached := "yes"
			if !g.reached {
				reached = "**no**"
				behind = append(behind, fmt.Sprintf("%s: the goal is %s, measured is %s", g.figure, g.limit, g.measured))
			}
			promised.lines = append(promised.lines, []string{g.figure, g.limit, g.measured, reached})
		}
		behind = append(behind, s.behind...)
		failed = append(failed, s.failures...)
	}
	say("\n## Goals\n")
	w.WriteString(promised.text())
	if len(behind) == 0 {
		behind = []string{"in none of the rows below"}
	}
	list("## Where the runner is behind", behind)
	list("## Runs that did not come through", failed)

	for _, s := range sections {
		say("\n## %s\n\n%s", s.title, s.prose)
		for _, t := range s.tables {
			say("")
			w.WriteString(t.text())
		}
		say("\n<details><summary>Commands</summary>\n\n```sh")
		for _, c := range s.commands {
			say("%s", c)
		}
		say("```\n\n</details>")
	}
	say("\nThe specs and scripts that the commands name are in `bench/specs` and `bench/scripts`, the target is `bench/target`. CPU time is getrusage's, of the whole process. Resident memory is the kernel's peak.")
	return w.String()
}

// flags are those of this measurement that are not the defaults.
func (b *bench) flags() string {
	o := b.options
	text := fmt.Sprintf(" -rounds %d -peer-rounds %d -for %v -hold %v", o.rounds, o.peerRounds, o.seconds, o.hold)
	if o.within > 0 {
		text += fmt.Sprintf(" -within %v", o.within)
	}
	if o.noise > 0 {
		text += fmt.Sprintf(" -noise %g", o.noise)
	}
	if o.only != "" {
		text += " -only " + o.only
	}
	if o.clients != "" {
		text += " -clients " + o.clients
	}
	if o.runner != "" {
		text += " -runner PATH"
	}
	return text
}

// machine is what the figures depend on, and how quiet it was.
func (b *bench) machine() (lines []string) {
	lines = append(lines, describe())
	steal := spreadOf(b.samples, func(s sample) float64 { return s.steal.Seconds() / s.lasted.Seconds() })
	others := spreadOf(b.samples, func(s sample) float64 { return s.others.Seconds() / s.lasted.Seconds() })
	lines = append(lines, fmt.Sprintf("during %d runs the hypervisor stole %s of a core and other processes used %s of one", len(b.samples), steal.text(percent), others.text(percent)))
	if b.options.noise > 0 {
		lines = append(lines, fmt.Sprintf("%d other runs were taken again because others used more than %s of a core; the rest above could not be had quieter", b.retaken, percent(b.options.noise)))
	}
	var versions []string
	for _, c := range b.clients {
		v := c.version()
		switch {
		case c.ours && b.options.runner == "":
			v = "of this source" + commit()
		case c.ours:
			v = "as given by -runner"
		}
		versions = append(versions, c.name+" "+v)
	}
	lines = append(lines, strings.Join(versions, ", "))
	if len(b.skipped) > 0 {
		lines = append(lines, "skipped: "+strings.Join(b.skipped, ", "))
	}
	return lines
}

// commit is " (commit abc)", if that can be told.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return ""
	}
	return " (commit " + strings.TrimSpace(string(out)) + ")"
}

package spec

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/slo"
)

const (
	maxProbes = 100
	// everyUnless is how often a probe is read that does not say it.
	everyUnless = 5 * time.Second
)

// probes decodes what is read from the system's side while the load runs.
func (d *decoder) probes(n *node, s *Spec) {
	if !n.isSet() || !d.mapping(n, "probes") || !d.within(n, maxProbes, "probes") {
		return
	}
	if len(n.keys) == 0 {
		d.fault(n, "write probes: {connections: {sql: select count(*) from pg_stat_activity}}, or leave it out", "there is no probe")
	}
	for i, key := range n.keys {
		if key.kind == badKind {
			continue
		}
		if !slo.IsProbeName(key.text) || len(key.text) > 100 {
			d.fault(key, "use letters, digits and _, no digit first, and no word of an SLO", "%s cannot be the name of a probe", quote(key.text))
			continue
		}
		s.Probes = append(s.Probes, d.probe(key, n.vals[i], s))
	}
}

// sources are the keys that say whence a probe is read, with those that belong
// to each.
var sources = []struct {
	key     string
	with    []string
	example string
}{
	{"sql", []string{"postgres"}, "{sql: select count(*) from alerts}"},
	{"prometheus", []string{"query"}, `{prometheus: "http://127.0.0.1:9090", query: sum(up)}`},
	{"scrape", []string{"metric", "labels"}, "{scrape: /metrics, metric: process_open_fds}"},
}

// probe decodes one probe.
func (d *decoder) probe(key, n *node, s *Spec) *Probe {
	p := &Probe{Pos: key.pos(), Name: key.text, Every: everyUnless}
	if n.isScalar() {
		d.fault(n, "write "+key.text+": "+sources[0].example, "a probe must be a mapping, not %s", n.kind)
		return p
	}
	if !d.keys(n, probeObject) {
		return p
	}
	if every := n.get("every"); every.isSet() {
		p.Every = d.duration(every, "every", time.Second)
	}
	var from []string
	for _, src := range sources {
		if n.get(src.key) != nil {
			from = append(from, src.key)
		}
	}
	switch {
	case len(from) == 0:
		if !d.misspelt(n, probeObject, "sql", "prometheus", "scrape") {
			d.fault(n, "write "+sources[0].example+", "+sources[1].example+" or "+sources[2].example, "the probe does not say where it is read")
		}
		return p
	case len(from) > 1:
		d.fault(n, "make two probes of it", "a probe is read in one place, and this has %s", strings.Join(from, " and "))
		return p
	}
	for _, src := range sources {
		for _, key := range src.with {
			if at := n.get(key); at != nil && src.key != from[0] {
				d.fault(at, "leave it out", "%s belongs to %s, and this probe has %s", key, src.key, from[0])
			}
		}
	}
	at := n.get(from[0])
	switch from[0] {
	case "sql":
		d.sqlProbe(p, n, at, s)
	case "prometheus":
		p.Prometheus = d.serverURL(at, "the address of Prometheus", "http://127.0.0.1:9090")
		if query := d.require(n, probeObject, "query", sources[1].example); query != nil {
			p.Query = d.line(query, "a query")
		}
	case "scrape":
		d.scrapeProbe(p, n, at, s)
	}
	return p
}

// line returns a text that is evaluated at load and holds something.
func (d *decoder) line(n *node, what string) string {
	before := d.faults.count
	if _, ok := d.text(n, what); !ok {
		return ""
	}
	v := d.constant(n, what).Text()
	if d.faults.count == before && strings.TrimSpace(v) == "" {
		d.fault(n, "", "%s is empty", what)
	}
	return v
}

// sqlProbe decodes a query and the database that it is asked of.
func (d *decoder) sqlProbe(p *Probe, n, at *node, s *Spec) {
	p.SQL = d.line(at, "a query")
	own := n.get("postgres")
	switch {
	case own.isSet():
		p.Postgres = d.postgres(own)
	case own != nil: // empty, which is a fault already
	case d.root.get("seed") == nil:
		d.fault(at, `write postgres: ${secret("DATABASE_URL")} beside it, or under seed`, "the query has no database to ask")
	case s.Seed != nil:
		p.Postgres = s.Seed.Postgres
	}
}

var metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)

// scrapeProbe decodes a page of metrics and which of them is meant.
func (d *decoder) scrapeProbe(p *Probe, n, at *node, s *Spec) {
	if strings.HasPrefix(at.text, "/") && at.kind == stringKind {
		if d.checkPath(at, 0) && !strings.Contains(at.text, "${") {
			p.path = at.text
			p.Scrape = s.Target.page(p.path)
		} else if i := strings.Index(at.text, "${"); i >= 0 {
			d.faultAt(at, i, "write a fixed path, or the whole URL", "the path of a page of the target cannot hold ${…}")
		}
	} else {
		p.Scrape = d.serverURL(at, "the page of metrics", "http://127.0.0.1:8000/metrics, or /metrics for a page of the target")
	}
	if metric := d.require(n, probeObject, "metric", sources[2].example); metric != nil {
		if p.Metric = d.line(metric, "the name of a metric"); p.Metric != "" && !metricName.MatchString(p.Metric) {
			hint := "use letters, digits, _ and :"
			if strings.Contains(p.Metric, "{") {
				hint = "write the labels beside it: labels: {NAME: VALUE}"
			}
			d.fault(metric, hint, "%s is not the name of a metric", quote(p.Metric))
		}
	}
	labels := n.get("labels")
	if !labels.isSet() {
		return
	}
	p.Labels = map[string]string{}
	d.each(labels, "labels", func(name string, key, val *node) {
		if !metricName.MatchString(name) || strings.Contains(name, ":") {
			d.fault(key, "use letters, digits and _", "%s is not the name of a label", quote(name))
			return
		}
		if val.kind == stringKind {
			p.Labels[name] = d.constant(val, "the label "+name).Text()
		} else if d.checkLost(val); val.isScalar() { // a status is written without quotes
			p.Labels[name] = val.text
		} else {
			d.fault(val, "", "the label %s must be text, not %s", name, val.kind)
		}
	})
}

// page returns the URL of a page of the target, its base path included.
func (t *Target) page(path string) string { return strings.TrimSuffix(t.URL, "/") + path }

// serverURL decodes an address beside the target. Its password is a secret.
func (d *decoder) serverURL(n *node, what, example string) string {
	before := d.faults.count
	if _, ok := d.text(n, what); !ok {
		return ""
	}
	text := d.constant(n, what).Text()
	if d.faults.count > before {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || !slices.Contains([]string{"http", "https"}, u.Scheme) || u.Hostname() == "" || u.Fragment != "" {
		d.fault(n, "write it like "+example, "%s is not the URL of a server", what) // the text may hold a password
		return ""
	}
	if password, ok := u.User.Password(); ok && password != "" {
		d.keep(password)
		d.keep(text)
	}
	return text
}

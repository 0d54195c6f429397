package spec

import (
	"maps"
	"slices"
	"strings"

	"tollgate/internal/expr"
)

// object names a mapping with a fixed set of keys. The JSON Schema has a
// definition of the same name for each.
type object string

// The objects of the format.
const (
	specObject       object = "spec"
	includedObject   object = "included"
	profileObject    object = "profile"
	targetObject     object = "target"
	namedObject      object = "named_target"
	tlsObject        object = "tls"
	connectionObject object = "connection"
	authObject       object = "auth"
	basicObject      object = "basic"
	feederObject     object = "feeder"
	endpointObject   object = "endpoint"
	bodyFileObject   object = "body_file"
	partObject       object = "part_file"
	saveObject       object = "save_from"
	expectObject     object = "expect"
	bodyObject       object = "expect_body"
	personaObject    object = "persona"
	refreshObject    object = "refresh"
	taskObject       object = "task"
	stepObject       object = "step"
	warmupObject     object = "warmup"
	steadyObject     object = "steady"
	spikeObject      object = "spike"
	stepsObject      object = "steps"
	pauseObject      object = "pause"
	stageObject      object = "stage"
	sloObject        object = "slo"
	seedObject       object = "seed"
	rowsObject       object = "seed_rows"
	cleanObject      object = "clean"
	conditionObject  object = "condition"
	probeObject      object = "probe"
)

// profileKeys are the keys that a profile may replace.
var profileKeys = []string{"about", "target", "targets", "env", "values", "endpoints", "before", "personas", "after", "stages", "slos", "probes", "seed", "abort", "confidence", "error_guard"}

// legalKeys are the keys of each object, in the order in which one writes them.
var legalKeys = map[object][]string{
	specObject:       append([]string{"version", "name", "include", "profiles"}, profileKeys...),
	profileObject:    profileKeys,
	includedObject:   {"values", "endpoints", "personas"},
	targetObject:     {"url", "ready", "timeout", "headers", "auth", "http", "tls", "insecure", "connection", "refresh", "redirects", "cookies", "max_body"},
	namedObject:      {"url", "ready", "headers", "auth", "http", "tls", "insecure"},
	tlsObject:        {"ca", "cert", "key", "server_name"},
	connectionObject: {"per"},
	authObject:       {"basic", "bearer"},
	basicObject:      {"user", "password"},
	feederObject:     {"csv", "order"},
	endpointObject:   {"request", "on", "name", "headers", "auth", "json", "form", "multipart", "body", "redirects", "values", "save", "expect"},
	bodyFileObject:   {"file"},
	partObject:       {"file", "filename", "type"},
	saveObject:       {"json", "header", "body"},
	expectObject:     {"status", "json", "header", "body", "within"},
	bodyObject:       {"contains", "matches"},
	personaObject:    {"weight", "think", "pace", "values", "headers", "auth", "on_start", "refresh", "on_stop", "tasks"},
	refreshObject:    {"every", "do"},
	taskObject:       {"weight", "steps", "call", "name", "when", "values", "save", "expect"},
	stepObject:       {"call", "name", "when", "values", "save", "expect"},
	stageObject:      {"warmup", "steady", "spike", "steps", "pause"},
	warmupObject:     {"name", "users", "rate", "arrivals", "max_users", "ramp", "for", "personas"},
	steadyObject:     {"name", "users", "rate", "arrivals", "max_users", "ramp", "for", "personas"},
	spikeObject:      {"name", "users", "rate", "arrivals", "max_users", "ramp", "for", "back", "personas"},
	stepsObject:      {"name", "from", "to", "by", "every", "until", "arrivals", "max_users", "personas"},
	pauseObject:      {"name", "for"},
	sloObject:        {"slo", "advisory", "abort"},
	seedObject:       {"postgres", "salted", "rows", "clean"},
	rowsObject:       {"table", "as", "count", "row"},
	cleanObject:      {"table", "where"},
	conditionObject:  {"eq", "in", "like", "since"},
	probeObject:      {"sql", "postgres", "prometheus", "query", "scrape", "metric", "labels", "every"},
}

// familiar maps what people write out of habit to the key of ours that does it.
var familiar = map[string]string{
	"host": "url", "base_url": "url", "method": "request", "path": "request", "duration": "for", "hold": "for",
	"wait": "think", "wait_time": "think", "spawn_rate": "ramp", "ramp_up": "ramp", "thresholds": "slos", "slo": "slos",
	"variables": "values", "vars": "values", "vus": "users", "scenarios": "personas", "flow": "steps", "extract": "save",
	"capture": "save", "assert": "expect", "check": "expect", "checks": "expect", "description": "about", "data": "values",
	"pacing": "pace", "setup": "on_start", "teardown": "on_stop", "if": "when", "params": "values", "phases": "stages", "users": "personas",
	"ssl": "tls", "skip_verify": "insecure", "insecure_skip_verify": "insecure", "cacert": "ca", "ca_file": "ca", "cert_file": "cert",
	"key_file": "key", "sni": "server_name", "username": "user", "pass": "password", "token": "bearer", "follow_redirects": "redirects",
	"max_redirects": "redirects", "target": "on", "files": "multipart", "urlencoded": "form", "interval": "every", "includes": "include",
	"import": "include", "imports": "include", "max_response": "max_body", "protocol": "http", "http_version": "http",
	"content_type": "type", "path_to_file": "file", "source": "csv", "mode": "order", "credentials": "auth", "steps": "do", "pool": "per",
	"database": "postgres", "db": "postgres", "dsn": "postgres", "connection_string": "postgres", "database_url": "postgres", "fixtures": "seed",
	"tables": "rows", "columns": "row", "fields": "row", "repeat": "count", "amount": "count", "times": "count", "alias": "as", "name": "as", "salt": "salted",
	"cleanup": "clean", "delete": "clean", "truncate": "clean", "filter": "where", "equals": "eq", "is": "eq", "pattern": "like", "after": "since",
	"monitors": "probes", "monitoring": "probes", "metrics": "probes", "gauges": "probes", "select": "sql", "statement": "sql", "promql": "query", "expr": "query",
}

// familiarWords are the keys of familiar, sorted.
var familiarWords = slices.Sorted(maps.Keys(familiar))

// suggest returns the hint for a name that does not exist.
func suggest(name string, legal []string) string {
	if len(legal) == 0 {
		return ""
	}
	if near := expr.Nearest(name, legal); near != "" {
		return "did you mean " + near + "?"
	}
	return list(legal)
}

// list enumerates names for a hint.
func list(names []string) string {
	const most = 12
	rest := ""
	if len(names) > most {
		names, rest = names[:most], ", …"
	}
	if len(names) == 1 {
		return "the only one is " + names[0]
	}
	return "one of " + strings.Join(names, ", ") + rest
}

// suggestKey is suggest for keys: it also knows the words of other tools.
func suggestKey(key string, legal []string) string {
	if near := expr.Nearest(key, legal); near != "" {
		return "did you mean " + near + "?"
	}
	if ours := familiarKey(key, legal); ours != "" {
		return "here it is called " + ours
	}
	return list(legal)
}

// nearestKey returns the legal key that was most likely meant, "" for none.
func nearestKey(key string, legal []string) string {
	if near := expr.Nearest(key, legal); near != "" {
		return near
	}
	return familiarKey(key, legal)
}

// familiarKey returns the legal key that does what another tool calls key, "" for none.
func familiarKey(key string, legal []string) string {
	if ours := familiar[key]; slices.Contains(legal, ours) {
		return ours
	}
	var words []string
	for _, word := range familiarWords {
		if slices.Contains(legal, familiar[word]) {
			words = append(words, word)
		}
	}
	return familiar[expr.Nearest(key, words)]
}

package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEveryErrorIsAnsweredLikeTheRealSystem(t *testing.T) {
	_, _, c := serve(t, Options{})
	const js = "application/json"
	for _, tt := range []struct {
		name, method, path, contentType, body string
		status                                int
		answer                                string
	}{
		{"unknown threat type", "POST", "/api/threats/trigger", js, `{"threat_type":"alien"}`, 400,
			`{"detail":"Invalid threat type: alien"}`},
		{"threat type in other case", "POST", "/api/threats/trigger", js, `{"threat_type":"BOT_TRAFFIC"}`, 400,
			`{"detail":"Invalid threat type: BOT_TRAFFIC"}`},
		{"unknown adversarial scenario", "POST", "/api/threats/trigger", js, `{"adversarial_scenario":"x"}`, 400,
			`{"detail":"Unknown adversarial scenario: x"}`},
		{"no body", "POST", "/api/threats/trigger", js, "", 422,
			`{"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}`},
		{"null body", "POST", "/api/threats/trigger", js, "null", 422,
			`{"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}`},
		{"not JSON", "POST", "/api/threats/trigger", js, "nonsense", 422,
			`{"detail":[{"type":"json_invalid","loc":["body",1],"msg":"JSON decode error","input":{},"ctx":{"error":"invalid character 'o' in literal null (expecting 'u')"}}]}`},
		{"two values", "POST", "/api/threats/trigger", js, "{}{}", 422,
			`{"detail":[{"type":"json_invalid","loc":["body",2],"msg":"JSON decode error","input":{},"ctx":{"error":"invalid character '{' after top-level value"}}]}`},
		{"an array", "POST", "/api/threats/trigger", js, `[1, 2]`, 422,
			`{"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":[1,2]}]}`},
		{"JSON sent as text", "POST", "/api/threats/trigger", "text/plain", `{}`, 422,
			`{"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":"{}"}]}`},
		{"a number for a string", "POST", "/api/threats/trigger", js, `{"threat_type":5}`, 422,
			`{"detail":[{"type":"string_type","loc":["body","threat_type"],"msg":"Input should be a valid string","input":5}]}`},
		{"all faults at once", "POST", "/api/threats/trigger", js, `{"scenario":[],"adversarial_detector_enabled":"maybe"}`, 422,
			`{"detail":[{"type":"string_type","loc":["body","scenario"],"msg":"Input should be a valid string","input":[]},` +
				`{"type":"bool_parsing","loc":["body","adversarial_detector_enabled"],"msg":"Input should be a valid boolean, unable to interpret input","input":"maybe"}]}`},
		{"an object for a boolean", "POST", "/api/threats/trigger", js, `{"adversarial_detector_enabled":{}}`, 422,
			`{"detail":[{"type":"bool_type","loc":["body","adversarial_detector_enabled"],"msg":"Input should be a valid boolean","input":{}}]}`},
		{"over 1 MiB", "POST", "/api/threats/trigger", js, `{"x":"` + strings.Repeat("x", maxBody) + `"}`, 413,
			`{"detail":"Request body over 1 MiB"}`},

		{"limit 0", "GET", "/api/threats?limit=0", "", "", 422,
			`{"detail":[{"type":"greater_than_equal","loc":["query","limit"],"msg":"Input should be greater than or equal to 1","input":"0","ctx":{"ge":1}}]}`},
		{"limit 101", "GET", "/api/threats?limit=101", "", "", 422,
			`{"detail":[{"type":"less_than_equal","loc":["query","limit"],"msg":"Input should be less than or equal to 100","input":"101","ctx":{"le":100}}]}`},
		{"both wrong", "GET", "/api/threats?limit=ten&offset=-1", "", "", 422,
			`{"detail":[{"type":"int_parsing","loc":["query","limit"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"ten"},` +
				`{"type":"greater_than_equal","loc":["query","offset"],"msg":"Input should be greater than or equal to 0","input":"-1","ctx":{"ge":0}}]}`},

		{"unknown id", "GET", "/api/threats/8c6d1f0a-0000-4000-8000-000000000000", "", "", 404, `{"detail":"Threat not found"}`},
		{"trigger is an id to GET", "GET", "/api/threats/trigger", "", "", 404, `{"detail":"Threat not found"}`},
		{"unknown path", "GET", "/nowhere", "", "", 404, `{"detail":"Not Found"}`},
		{"nothing after the slash", "GET", "/api/threats/", "", "", 404, `{"detail":"Not Found"}`},
		{"wrong method", "DELETE", "/api/threats/trigger", "", "", 405, `{"detail":"Method Not Allowed"}`},
		{"wrong method for an id", "PUT", "/api/threats/x", "", "", 405, `{"detail":"Method Not Allowed"}`},
		{"wrong method for the list", "POST", "/api/threats", js, "{}", 405, `{"detail":"Method Not Allowed"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, text := c.mustDo(t, tt.method, tt.path, tt.contentType, tt.body)
			if resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.status)
			}
			if diff := cmp.Diff(tt.answer, text); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if got := resp.Header.Get("Content-Type"); got != js {
				t.Errorf("content type %q", got)
			}
		})
	}
}

func TestTheFieldThatRanksFirstDecides(t *testing.T) {
	_, _, c := serve(t, Options{})
	for _, tt := range []struct{ body, threat, customer string }{
		{`{"threat_type":"bot_traffic"}`, "bot_traffic", ""},
		{`{"threat_type":"proxy_network"}`, "proxy_network", ""},
		{`{"threat_type":"device_compromise"}`, "device_compromise", ""},
		{`{"threat_type":"anomaly_detection"}`, "anomaly_detection", ""},
		{`{"threat_type":"rate_limit_breach"}`, "rate_limit_breach", ""},
		{`{"threat_type":"geo_anomaly"}`, "geo_anomaly", ""},
		{`{"scenario":"crypto_surge"}`, "rate_limit_breach", ""},
		{`{"scenario":"bot_attack"}`, "bot_traffic", ""},
		{`{"scenario":"geo_impossible"}`, "geo_anomaly", ""},
		{`{"scenario":"critical_threat"}`, "device_compromise", ""},
		{`{"threat_type":"proxy_network","scenario":"bot_attack"}`, "bot_traffic", ""},
		{`{"threat_type":"alien","scenario":"bot_attack"}`, "bot_traffic", ""},
		{`{"threat_type":"proxy_network","scenario":""}`, "proxy_network", ""},
		{`{"threat_type":"proxy_network","scenario":null,"adversarial_scenario":null,"adversarial_detector_enabled":null}`, "proxy_network", ""},
		{`{"threat_type":"proxy_network","unheard_of":1}`, "proxy_network", ""},
		{`{"threat_type":"proxy_network","Scenario":"bot_attack"}`, "proxy_network", ""},
		{`{"adversarial_scenario":"note_poisoning_bypass","scenario":"bot_attack","threat_type":"geo_anomaly"}`, "anomaly_detection", "DEMO_NotePoisonCorp_ACT1"},
		{`{"adversarial_scenario":"note_poisoning_catch"}`, "anomaly_detection", "DEMO_NotePoisonCorp_ACT2"},
		{`{"adversarial_scenario":"note_poisoning_baseline"}`, "anomaly_detection", "DEMO_CleanCorp_BASELINE"},
	} {
		resp, text, err := c.trigger(tt.body)
		if err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: %v, %v: %s", tt.body, resp, err, text)
			continue
		}
		a := readAnalysis(t, text)
		if a.Signal.ThreatType != tt.threat {
			t.Errorf("%s: threat type %q, want %q", tt.body, a.Signal.ThreatType, tt.threat)
		}
		if tt.customer != "" && a.Signal.CustomerName != tt.customer {
			t.Errorf("%s: customer %q, want %q", tt.body, a.Signal.CustomerName, tt.customer)
		}
	}
}

func TestPoisonedNotesAreSeenUnlessTheDetectorIsOff(t *testing.T) {
	_, _, c := serve(t, Options{})
	for body, seen := range map[string]bool{
		`{"adversarial_scenario":"note_poisoning_catch"}`:                                          true,
		`{"adversarial_scenario":"note_poisoning_catch","adversarial_detector_enabled":true}`:      true,
		`{"adversarial_scenario":"note_poisoning_bypass","adversarial_detector_enabled":false}`:    false,
		`{"adversarial_scenario":"note_poisoning_bypass","adversarial_detector_enabled":"off"}`:    false,
		`{"adversarial_scenario":"note_poisoning_bypass","adversarial_detector_enabled":1}`:        true,
		`{"adversarial_scenario":"note_poisoning_baseline","adversarial_detector_enabled":"True"}`: false,
	} {
		_, text, err := c.trigger(body)
		if err != nil {
			t.Fatal(err)
		}
		a := readAnalysis(t, text)
		if a.AdversarialDetection.ManipulationDetected != seen || a.RequiresHumanReview != seen || (a.ReviewReason != nil) != seen {
			t.Errorf("%s: manipulation %v, review %v for %v; want %v",
				body, a.AdversarialDetection.ManipulationDetected, a.RequiresHumanReview, a.ReviewReason, seen)
		}
	}
}

func TestWithoutAKnownFieldTheThreatIsRandom(t *testing.T) {
	for _, body := range []string{`{}`, `{"scenario":"unheard_of"}`, `{"threat_type":"","scenario":null}`} {
		_, _, c := serve(t, Options{Seed: 7})
		seen := map[string]bool{}
		for range 100 {
			_, text, err := c.trigger(body)
			if err != nil {
				t.Fatal(err)
			}
			seen[readAnalysis(t, text).Signal.ThreatType] = true
		}
		if len(seen) != len(threatTypes) {
			t.Errorf("%s: 100 triggers gave only %v", body, seen)
		}
	}
}

// analysis is what the tests read of a ThreatAnalysis.
type analysis struct {
	ID     string
	Signal struct {
		ID           string
		ThreatType   string `json:"threat_type"`
		CustomerName string `json:"customer_name"`
		Timestamp    string
		Metadata     map[string]any
		MitreHints   []string `json:"mitre_hints"`
	}
	Status, Severity string
	AgentAnalyses    map[string]struct {
		AgentName            string `json:"agent_name"`
		Analysis             string
		Confidence           float64
		KeyFindings          []string `json:"key_findings"`
		Recommendations      []string
		ProcessingTimeMs     int      `json:"processing_time_ms"`
		DataSourcesConsulted []string `json:"data_sources_consulted"`
		RawOutput            any      `json:"raw_output"`
	} `json:"agent_analyses"`
	AdversarialDetection struct {
		ManipulationDetected bool `json:"manipulation_detected"`
	} `json:"adversarial_detection"`
	TotalProcessingTimeMs int     `json:"total_processing_time_ms"`
	CreatedAt             string  `json:"created_at"`
	RequiresHumanReview   bool    `json:"requires_human_review"`
	ReviewReason          *string `json:"review_reason"`
}

func readAnalysis(t testing.TB, text string) analysis {
	t.Helper()
	var a analysis
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatalf("analysis: %v in %s", err, text)
	}
	return a
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestAnalysisHasTheDocumentedKeysAndSize(t *testing.T) {
	_, _, c := serve(t, Options{})
	ids := map[string]bool{}
	for _, threat := range threatTypes {
		before := time.Now().UTC().Truncate(time.Microsecond)
		_, text, err := c.trigger(threatBody(threat))
		if err != nil {
			t.Fatal(err)
		}
		after := time.Now().UTC()
		if n := len(text); n < 10_000 || n > 11_500 {
			t.Errorf("%s: %d bytes, want 10 to 11.5 kB", threat, n)
		}
		if i := strings.IndexByte(text, '@'); i >= 0 {
			t.Errorf("%s: an unfilled hole: %s", threat, text[i:min(i+40, len(text))])
		}
		var keys map[string]any
		if err := json.Unmarshal([]byte(text), &keys); err != nil {
			t.Fatal(err)
		}
		want := []string{
			"adversarial_detection", "agent_analyses", "created_at", "customer_narrative", "executive_summary",
			"false_positive_score", "id", "intel_matches", "investigation_timeline", "mitre_tactics", "mitre_tags",
			"mitre_techniques", "requires_human_review", "response_plan", "review_reason", "severity", "signal",
			"status", "total_processing_time_ms",
		}
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(keys))); diff != "" {
			t.Errorf("%s: keys (-want +got):\n%s", threat, diff)
		}
		a := readAnalysis(t, text)
		if diff := cmp.Diff([]string{"config", "context", "devops", "historical", "priority"}, slices.Sorted(maps.Keys(a.AgentAnalyses))); diff != "" {
			t.Errorf("%s: agents (-want +got):\n%s", threat, diff)
		}
		if a.Severity != "MEDIUM" || a.Status != "completed" || len(a.Signal.Metadata) == 0 || a.Signal.MitreHints == nil {
			t.Errorf("%s: %+v", threat, a)
		}
		for _, id := range []string{a.ID, a.Signal.ID} {
			if !uuidForm.MatchString(id) || ids[id] {
				t.Errorf("%s: id %q is no UUID or was used before", threat, id)
			}
			ids[id] = true
		}
		created, err := time.Parse("2006-01-02T15:04:05.999999", a.CreatedAt)
		if err != nil || created.Before(before) || created.After(after) {
			t.Errorf("%s: created at %s (%v), not between %v and %v", threat, a.CreatedAt, err, before, after)
		}
	}
}

func TestRootIsAsLongAsTheRealOne(t *testing.T) {
	_, _, c := serve(t, Options{})
	text := c.get(t, "/")
	if len(text) != 198 {
		t.Errorf("%d bytes, want 198: %s", len(text), text)
	}
	contains(t, text, `"service":"SOC Agent System"`, `"version":"2.0"`, `"status":"running"`,
		`"endpoints":{"health":"/health","ready":"/ready","metrics":"/metrics","api":"/api/threats"}`)
}

func TestListGivesTheNewestFirst(t *testing.T) {
	_, _, c := serve(t, Options{})
	if text := c.get(t, "/api/threats"); text != "[]" {
		t.Fatalf("empty list: %s", text)
	}
	var sent []string // newest first
	for i := range 25 {
		_, text, err := c.trigger(threatBody(threatTypes[i%len(threatTypes)]))
		if err != nil {
			t.Fatal(err)
		}
		sent = slices.Insert(sent, 0, text)
	}
	for path, want := range map[string][]string{
		"/api/threats":                    sent[:20],
		"/api/threats?limit=1":            sent[:1],
		"/api/threats?limit=100":          sent,
		"/api/threats?limit=3&offset=4":   sent[4:7],
		"/api/threats?offset=20":          sent[20:],
		"/api/threats?offset=25":          nil,
		"/api/threats?limit=5&limit=2":    sent[:2],
		"/api/threats?limit=%202&x=y":     sent[:2],
		"/api/threats?offset=99999999999": nil,
	} {
		text := c.get(t, path)
		if want := "[" + strings.Join(want, ",") + "]"; text != want {
			t.Errorf("%s: %d bytes that differ from the %d expected", path, len(text), len(want))
		}
	}
	if n := len(c.get(t, "/api/threats")); n < 185_000 || n > 230_000 {
		t.Errorf("a list of 20 has %d bytes, want 185 to 230 kB", n)
	}
	id := readAnalysis(t, sent[3]).ID
	if text := c.get(t, "/api/threats/"+id); text != sent[3] {
		t.Errorf("analysis %s is not the one sent", id)
	}
}

func TestStoreForgetsTheOldestOfAThousand(t *testing.T) {
	var st analysisStore
	name := func(i int) uuid { return uuid([]byte(fmt.Sprintf("%036d", i))) }
	for i := range keptAnalyses + 5 {
		st.add(name(i), []byte(fmt.Sprint(i)))
	}
	for i := range keptAnalyses + 5 {
		id := name(i)
		if _, ok := st.get(string(id[:])); ok != (i >= 5) {
			t.Fatalf("analysis %d: found %v", i, ok)
		}
	}
	if got := string(st.appendList(nil, 3, 0)); got != "[1004,1003,1002]" {
		t.Errorf("newest: %s", got)
	}
	if got := string(st.appendList(nil, 3, 998)); got != "[6,5]" {
		t.Errorf("oldest: %s", got)
	}
	if n := st.clear(); n != keptAnalyses {
		t.Errorf("cleared %d", n)
	}
	id := name(900)
	if _, ok := st.get(string(id[:])); ok || string(st.appendList(nil, 3, 0)) != "[]" {
		t.Error("something is left after clear")
	}
}

func TestResetForgetsAnalysesAndNotTheLedger(t *testing.T) {
	soc, _, c := serve(t, Options{})
	for range 3 {
		if _, _, err := c.trigger("{}"); err != nil {
			t.Fatal(err)
		}
	}
	if _, text := c.mustDo(t, "POST", "/api/demo/reset", "", ""); text != `{"status":"reset","cleared":3}` {
		t.Errorf("reset: %s", text)
	}
	if text := c.get(t, "/api/threats"); text != "[]" {
		t.Errorf("after reset: %s", text)
	}
	if n := soc.Ledger().Requests[routeTrigger]; n != 3 {
		t.Errorf("the ledger has %d triggers", n)
	}
}

func TestMetricsCountThreatsAndRequests(t *testing.T) {
	_, _, c := serve(t, Options{})
	for _, body := range []string{threatBody("bot_traffic"), threatBody("bot_traffic"), threatBody("geo_anomaly"), threatBody("alien"), ""} {
		if _, _, err := c.trigger(body); err != nil {
			t.Fatal(err)
		}
	}
	c.mustDo(t, "GET", "/nowhere", "", "")
	c.mustDo(t, "DELETE", "/_ledger", "", "") // counters must not go back with it
	want := `# HELP soc_threats_processed_total Total number of threats processed by the SOC system
# TYPE soc_threats_processed_total counter
soc_threats_processed_total{severity="MEDIUM",threat_type="bot_traffic"} 2
soc_threats_processed_total{severity="MEDIUM",threat_type="geo_anomaly"} 1
# HELP http_requests_total Total number of requests by method, status and handler.
# TYPE http_requests_total counter
http_requests_total{handler="none",method="GET",status="4xx"} 1
http_requests_total{handler="/api/threats/trigger",method="POST",status="2xx"} 3
http_requests_total{handler="/api/threats/trigger",method="POST",status="4xx"} 2
`
	if diff := cmp.Diff(want, c.get(t, "/metrics")); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

func TestSameSeedSameAnalyses(t *testing.T) {
	ids := func(seed uint64) (ids []string) {
		soc := NewSOC(Options{Seed: seed})
		for range 20 {
			w := httptest.NewRecorder()
			soc.ServeHTTP(w, httptest.NewRequest("POST", "/api/threats/trigger", strings.NewReader("{}")))
			a := readAnalysis(t, w.Body.String())
			ids = append(ids, a.ID+a.Signal.ThreatType+a.Signal.CustomerName)
		}
		return ids
	}
	if !slices.Equal(ids(1), ids(1)) {
		t.Error("seed 1 gave different analyses the second time")
	}
	if slices.Equal(ids(1), ids(2)) {
		t.Error("seeds 1 and 2 gave the same analyses")
	}
}

func FuzzReadTrigger(f *testing.F) {
	for _, seed := range []string{`{}`, `{"threat_type":"bot_traffic"}`, `{"scenario":"\u0000"}`, `{"adversarial_detector_enabled":1e400}`,
		`[`, "", "null", `"\ud800"`, `{"a":{"b":[1,2,{"c":null}]}}`} {
		f.Add("application/json", seed)
	}
	f.Add("text/plain", "x\xff")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		got, refusal := readTrigger(contentType, []byte(body))
		if len(got.notes()) == 0 {
			t.Error("a trigger that the ledger would not count by kind")
		}
		if refusal == nil {
			if got.threat >= len(threatTypes) || got.threat < 0 && got.kind != "random" && got.kind != "scenario" {
				t.Errorf("threat %d of kind %s", got.threat, got.kind)
			}
			return
		}
		if refusal.status != 400 && refusal.status != 422 {
			t.Errorf("status %d", refusal.status)
		}
		if !json.Valid(jsonText(refusal.detail)) {
			t.Errorf("detail is not JSON: %v", refusal.detail)
		}
	})
}

func FuzzReadPage(f *testing.F) {
	for _, seed := range []string{"", "limit=5&offset=3", "limit=%zz", "offset=-0", "limit=1_0", "&&=;"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		limit, offset, faults := readPage(query)
		if limit < 1 || limit > 100 || offset < 0 {
			t.Errorf("%q: limit %d, offset %d", query, limit, offset)
		}
		if !json.Valid(jsonText(faults)) {
			t.Errorf("%q: faults are not JSON", query)
		}
	})
}

// sink is a ResponseWriter that costs nothing.
type sink struct {
	header http.Header
	bytes  int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(int)             {}
func (s *sink) Write(p []byte) (int, error) { s.bytes += len(p); return len(p), nil }

func BenchmarkTrigger(b *testing.B) {
	soc := NewSOC(Options{})
	body := threatBody("bot_traffic")
	w := &sink{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		r := &http.Request{Method: "POST", URL: &triggerURL, Body: io.NopCloser(strings.NewReader(body)), Header: jsonHeader}
		soc.ServeHTTP(w, r)
	}
	b.ReportMetric(float64(w.bytes)/float64(b.N), "B/answer")
}

func BenchmarkList(b *testing.B) {
	soc := NewSOC(Options{})
	w := &sink{header: http.Header{}}
	for range 20 {
		soc.ServeHTTP(w, httptest.NewRequest("POST", "/api/threats/trigger", strings.NewReader("{}")))
	}
	w.bytes = 0
	r := httptest.NewRequest("GET", "/api/threats", nil)
	b.ReportAllocs()
	for b.Loop() {
		soc.ServeHTTP(w, r)
	}
	b.ReportMetric(float64(w.bytes)/float64(b.N), "B/answer")
}

var (
	triggerURL = url.URL{Path: "/api/threats/trigger"}
	jsonHeader = http.Header{"Content-Type": {"application/json"}}
)

// BenchmarkTriggerOverASocket includes both ends of a loopback connection.
func BenchmarkTriggerOverASocket(b *testing.B) {
	_, _, c := serve(b, Options{})
	body := threatBody("bot_traffic")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := c.trigger(body); err != nil {
			b.Fatal(err)
		}
	}
}

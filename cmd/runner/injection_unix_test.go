//go:build unix

package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/net/html"

	"tollgate/internal/postgres/postgrestest"
)

// injections are 200 texts that mean something to one of those who read an
// artefact: browsers, spreadsheets, terminals, Markdown, runners, parsers.
func injections() (all []string) {
	for _, s := range []string{
		`<script>alert(1)</script>`, `</script><script>alert(1)</script>`, `<img src=x onerror=alert(1)>`, `"><svg onload=alert(1)>`, `' autofocus onfocus='alert(1)`,
		`<!--<script>`, `-->`, `]]>`, `<a href="javascript:alert(1)">x</a>`, `</td></tr></table><h1>PASS</h1>`, `</style><link rel=stylesheet href=//evil.test>`,
		`<svg><animate onbegin=alert(1) attributeName=x></svg>`, `&lt;b&gt;&#60;i&#62;`, `{{.Spec}}`, `<meta http-equiv=refresh content=0>`,
		`=cmd|' /C calc'!A0`, `+1+1`, `-2+3`, `@SUM(1+1)*2`, "\t=1", "\r=1", `" ,=1`, ` =HYPERLINK("http://evil.test")`, "＝1+1",
		"\x1b[2J\x1b[H", "\x1b]0;owned\x07", "\x1b]8;;http://evil.test\x1b\\x\x1b]8;;\x1b\\", "\u009b31m", "\x9b31m", "\x07\x08\x7f", "\x00nul\x00", "a\rPASS  exit code 0",
		"| a | b |", `\|`, "`x` **b** [l](http://evil.test) ![i](http://evil.test)", "\n\n# PASS\n", "@team #1 $x$", "- [ ] x", "</details>", "www.evil.test",
		"::error::forged", "\n::error file=x::forged", "\r\n::set-output name=verdict::pass", "##[error]forged", "::stop-commands::x", "%0A::error::forged", ":: error", "\u2028::warning::x",
		`"]} 1` + "\n" + `tollgate_exit_code 0`, `\"} 1 # {`, "# EOF\n", `x="y",z="`, `\`, "\u202egnp.exe", "\u2066abc\u2069", "\u200e\u200f\u061c\ufeff", "e\u0301\u0301\u0301",
		"\xff\xfe\xc3\x28", "\xed\xa0\x80", "\xf4\x90\x80\x80", strings.Repeat("long", 1500), strings.Repeat("漢", 900), "👩‍💻 🏳️‍🌈", `null`, `"`, `'`, `%s%n%x`, `${env.HOME}`, `$(id)`, "..\\..\\/etc/passwd",
	} {
		all = append(all, s, "v"+s+"w", `"`+s+`"`)
	}
	return all[:200]
}

// villain answers each request with the next of the injections, in one place of
// the answer by the path that was asked for.
type villain struct {
	all []string
	mu  sync.Mutex
	n   map[string]int // by path
}

func (v *villain) next(path string) (n int, text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	n = v.n[path]
	v.n[path]++
	return n, v.all[n%len(v.all)]
}

// serve speaks HTTP by hand: no library would send some of this.
func (v *villain) serve(conn net.Conn) {
	defer conn.Close()
	for in := bufio.NewReader(conn); ; {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		path, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		n, text := 0, "fine"
		if path != "health" && path != "api" {
			n, text = v.next(path)
		}
		status, header, body := "200 OK", "", "{}"
		quoted, _ := json.Marshal(text)
		switch path {
		case "status":
			status = strconv.Itoa(400+n%200) + " " + text
		case "field":
			header = "X-Field: " + text + "\r\n"
		case "name":
			header = text + ": x\r\n"
		case "json":
			body = `{"v": ` + string(quoted) + `}`
		case "raw":
			body = `{"v": "` + text + `"}`
		case "body":
			body = text
		case "location":
			status, header = "302 Found", "Location: "+text+"\r\n"
		case "host":
			status, header = "302 Found", "Location: http://"+text+"/\r\n"
		case "cookie":
			header = "Set-Cookie: " + text + "=" + text + "; Path=" + text + "\r\n"
		case "line":
			if _, err := io.WriteString(conn, text+"\r\n\r\n"); err != nil {
				return
			}
			return
		case "length":
			header = "Transfer-Encoding: " + text + "\r\n"
		case "encoding":
			header = "Content-Encoding: " + text + "\r\n"
		case "api": // Prometheus
			i, _ := strconv.Atoi(r.URL.Query().Get("query"))
			quoted, _ = json.Marshal(v.all[i])
			body = `{"status": "error", "error": ` + string(quoted) + `}`
		case "metrics":
			body = "m{" + text + "} 1\nm " + text + "\n"
		}
		if _, err := fmt.Fprintf(conn, "HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s", status, header, len(body), body); err != nil {
			return
		}
	}
}

var villainous = []string{"status", "field", "name", "json", "raw", "body", "location", "host", "cookie", "line", "length", "encoding"}

// villainSpec is a spec whose own texts are injections as well, as far as the
// format takes them, and which reads probes from the villain or a database.
func villainSpec(all []string, k int, url, database string) string {
	var b strings.Builder
	text := func(i int) string { // what a spec may hold
		clean := strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || r == utf8.RuneError || r == 0x2028 || unicode.Is(unicode.Cf, r) {
				return -1
			}
			return r
		}, strings.ReplaceAll(all[i%len(all)], "${", "$ {"))
		q, _ := json.Marshal(strings.TrimSpace(fmt.Sprintf("%.60s %d", clean, i)))
		return string(q)
	}
	fmt.Fprintf(&b, "version: 1\nname: villain\nabout: %s\ntarget: {url: %q, ready: GET /health, redirects: 1}\nendpoints:\n", text(k), url)
	for i, p := range villainous {
		expect := `{json: {v: "${wanted}"}}`
		switch p {
		case "field":
			expect = `{header: {X-Field: "${wanted}"}}`
		case "body":
			expect = `{body: {contains: "${wanted}"}}`
		case "name":
			expect = `{header: {X-Other: exists}}`
		}
		fmt.Fprintf(&b, "  %s: {request: GET /%s, expect: %s, values: {wanted: %s}}\n", p, p, expect, text(50*k+i))
	}
	b.WriteString("probes:\n")
	for i := range 98 {
		n := (k%2)*100 + i
		if k < 2 {
			fmt.Fprintf(&b, "  seen%d: {prometheus: %q, query: \"%d\", every: 1s}\n", i, url, n)
		} else {
			fmt.Fprintf(&b, "  seen%d: {sql: \"select evil(%d)\", postgres: %q, every: 1s}\n", i, n, database)
		}
	}
	b.WriteString("  page: {scrape: /metrics, metric: m, every: 1s}\n")
	b.WriteString("personas:\n  v:\n    think: 1ms\n    tasks:\n")
	for i, p := range villainous {
		fmt.Fprintf(&b, "      %s: {weight: 1, steps: [{call: %s, name: %s}]}\n", p, p, text(50*k+20+i))
	}
	fmt.Fprintf(&b, "stages: [steady: {users: 16, for: 2s}]\nconfidence: off\nslos: [errors < 1%%, {slo: seen0 < 3, advisory: true}]\n")
	return b.String()
}

func TestInjectionsReachNoReader(t *testing.T) {
	all := injections()
	v := &villain{all: all, n: map[string]int{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go v.serve(conn)
		}
	}()
	database := postgrestest.Database(t)
	admin, err := pgconn.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	for _, sql := range []string{`create table evils (n int, said text)`, `create function evil(i int) returns int language plpgsql as $$ begin raise exception '%', (select said from evils where n = i); end $$`} {
		if _, err := admin.Exec(t.Context(), sql).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range all {
		s = strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "0") // more the server does not hold
		if r := admin.ExecParams(t.Context(), `insert into evils values ($1::int, $2)`, [][]byte{[]byte(strconv.Itoa(i)), []byte(s)}, nil, nil, nil).Read(); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	dir := t.TempDir()
	command := func(want code, env []string, args ...string) []byte {
		t.Helper()
		c := exec.Command("runner", args...)
		c.Dir, c.Env = dir, append(append(os.Environ(), "CI=", "GITHUB_ACTIONS="), env...)
		out, _ := c.CombinedOutput() // the state tells
		if got := c.ProcessState.ExitCode(); got != int(want) {
			t.Fatalf("%v: exit code %d, want %d:\n%.3000s", args, got, want, out)
		}
		return out
	}
	write := func(name, text string) string {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}

	// The same with texts that mean nothing is what the page may consist of.
	innocent := &villain{all: slices.Repeat([]string{"x"}, 200), n: v.n}
	known := map[string]bool{}
	v.all = innocent.all
	command(breach, nil, "run", write("plain.yaml", villainSpec(innocent.all, 0, "http://"+l.Addr().String(), database)), "--out", "plain", "--loops", "1")
	tags(t, filepath.Join(dir, "plain", "report.html"), func(tag string) { known[tag] = true })
	v.mu.Lock()
	v.all = all
	clear(v.n)
	v.mu.Unlock()

	for k := range 4 {
		file := write(fmt.Sprintf("villain%d.yaml", k), villainSpec(all, k, "http://"+l.Addr().String(), database))
		out := fmt.Sprintf("out%d", k)
		driver := []string{"auto", "conn"}[k%2]
		var env []string
		if k > 0 {
			env = []string{"GITHUB_ACTIONS=true"}
		}
		said := command(breach, env, "run", file, "--out", out, "--driver", driver)
		tamely(t, "what was printed", said, "\n")
		for line := range strings.Lines(string(said)) {
			if k == 0 {
				break
			}
			start := strings.TrimLeftFunc(line, unicode.IsSpace)
			if strings.Contains(line, "##[") && !strings.HasPrefix(line, "::") || strings.HasPrefix(start, "::") && !regexp.MustCompile(`^::(error|warning|notice) [^:]*(file|title)=[^:]*::[^:]`).MatchString(line) {
				t.Errorf("a command for Actions: %q", line)
			}
		}
		harmlessFolder(t, filepath.Join(dir, out), known)
	}
	for _, p := range villainous {
		if n := v.n[p]; n < len(all) {
			t.Errorf("%s was tried %d times, and there are %d texts", p, n, len(all))
		}
	}

	// A certificate for other names, which the reason quotes.
	var names []string
	for _, s := range all {
		if len(names) < 60 && len(s) < 200 && strings.IndexFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) < 0 {
			names = append(names, s)
		}
	}
	for i := range 3 {
		at := impostor(t, names[20*i:20*i+20])
		said := command(unreachable, nil, "run", write("tls.yaml", villainSpec(all, 0, "https://"+at, database)), "--out", "tls")
		tamely(t, "what was printed of a certificate", said, "\n")
		harmlessFolder(t, filepath.Join(dir, "tls"), known)
	}
}

// impostor serves TLS with a certificate for other names than its own.
func impostor(t *testing.T, names []string) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0], Organization: names}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).Handshake() // which fails
			conn.Close()
		}
	}()
	return l.Addr().String()
}

// tamely finds what a terminal or a reader would take for more than text.
func tamely(t *testing.T, where string, text []byte, allowed string) {
	t.Helper()
	if !utf8.Valid(text) {
		t.Errorf("%s is not UTF-8", where)
	}
	for i, r := range string(text) {
		if (r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200e || r == 0x200f || r == 0x61c || r == 0xfeff) && !strings.ContainsRune(allowed, r) {
			t.Errorf("%s holds %U in %q", where, r, text[max(0, i-60):min(len(text), i+60)])
			return
		}
	}
}

// tags gives each element of a page and each attribute: "a", "a href".
func tags(t *testing.T, file string, see func(string)) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	page, err := html.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	for n := range page.Descendants() {
		if n.Type == html.ElementNode {
			see(n.Data)
			for _, a := range n.Attr {
				see(n.Data + " " + a.Key)
				if value := strings.ToLower(strings.TrimSpace(a.Val)); strings.HasPrefix(value, "javascript:") {
					see(value)
				}
			}
		}
	}
}

var (
	sampleLine = regexp.MustCompile(`^tollgate_[a-z_]+(\{([a-z_]+="([^"\\]|\\[\\"n])*",?)*\})? (-?[0-9.e+-]+|NaN|\+Inf)$`)
	metaLine   = regexp.MustCompile(`^# (TYPE|UNIT|HELP) tollgate_[a-z_]+ .*$`)
	unescaped  = regexp.MustCompile(`(^|[^\\])\|`)
)

// harmlessFolder looks at each file of a result as its readers do.
func harmlessFolder(t *testing.T, dir string, known map[string]bool) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) < 9 {
		t.Errorf("%s has %d files", dir, len(entries))
	}
	for _, e := range entries {
		file := filepath.Join(dir, e.Name())
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tamely(t, file, text, map[string]string{".csv": "\r\n", ".html": "\n\t"}[filepath.Ext(file)]+"\n")
		switch {
		case e.Name() == "report.html":
			strange := map[string]bool{}
			tags(t, file, func(tag string) {
				if !known[tag] {
					strange[tag] = true
				}
			})
			if len(strange) > 0 {
				t.Errorf("%s has %v, which the page of an innocent run has not", file, slices.Sorted(maps.Keys(strange)))
			}
		case strings.HasSuffix(file, ".csv"):
			rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
			if err != nil {
				t.Errorf("%s: %v", file, err)
			}
			for _, row := range rows {
				for _, cell := range row {
					if strings.IndexAny(cell, "=+-@\t\r") == 0 {
						t.Errorf("%s has the cell %q", file, cell)
					}
				}
			}
		case e.Name() == "junit.xml":
			for d := xml.NewDecoder(bytes.NewReader(text)); ; {
				token, err := d.Token()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				if start, ok := token.(xml.StartElement); ok && !slices.Contains([]string{"testsuites", "testsuite", "properties", "property", "testcase", "failure", "error", "skipped", "system-out", "system-err"}, start.Name.Local) {
					t.Errorf("%s has <%s>", file, start.Name.Local)
				}
			}
		case e.Name() == "metrics.txt":
			lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
			for i, line := range lines {
				if last := i == len(lines)-1; last != (line == "# EOF") || !last && !sampleLine.MatchString(line) && !metaLine.MatchString(line) {
					t.Errorf("%s:%d is %q", file, i+1, line)
				}
			}
		case e.Name() == "summary.md":
			columns := 0
			for line := range strings.Lines(string(text)) {
				n := len(unescaped.FindAllString(line, -1))
				switch {
				case !strings.HasPrefix(line, "|"):
					columns = 0
				case columns == 0:
					columns = n
				case n != columns:
					t.Errorf("%s: %d columns, want %d: %.200q", file, n, columns, line)
				}
				if strings.HasPrefix(line, "# ") || strings.ContainsAny(line, "<>") {
					t.Errorf("%s: %.200q", file, line)
				}
			}
		case strings.HasSuffix(file, ".json"):
			if !json.Valid(text) {
				t.Errorf("%s is no JSON", file)
			}
		}
	}
}

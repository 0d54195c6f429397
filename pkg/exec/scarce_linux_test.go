package exec

import (
	"fmt"
	"net"
	"net/http"
	"os"
	osexec "os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"tollgate/internal/measure"
)

// scarce runs a test again in a process of its own, in a network namespace with
// a loopback interface and nothing else, where it may take away what others need.
// It reports whether this is that process.
func scarce(t *testing.T) bool {
	const mark = "TOLLGATE_SCARCE"
	if os.Getenv(mark) == "" {
		cmd := osexec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), mark+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		if id := os.Getuid(); id != 0 { // who is nobody special is root in a user namespace
			cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}}
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("in a network namespace: %v\n%s", err, out)
		}
		return false
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		t.Fatal(err)
	}
	return true
}

// allOurs fails unless requests failed, every one of them by our own fault, and
// the run was ended for it.
func allOurs(t *testing.T, r *Result, least uint64) {
	t.Helper()
	row := total(r)
	if got := row.Outcomes[measure.Generator]; got < least || got != row.Failures {
		t.Errorf("outcomes %v of %d requests: %+v", row.Outcomes, row.Requests, r.Snapshot.Failures)
	}
	if reasons := r.Invalid(); len(reasons) == 0 {
		t.Error("the run is said to be valid")
	}
	if !strings.Contains(r.Aborted, "this machine") {
		t.Errorf("the run was ended by %q", r.Aborted)
	}
}

const crowdOf200 = "- steady: {users: 200, for: 60s}"

// startTarget serves from a process of its own, which keeps what it has.
func startTarget(t *testing.T) (addr string) {
	t.Helper()
	cmd := osexec.Command(os.Args[0], "-test.run=^TestServeInAProcessOfItsOwn$")
	cmd.Env = append(os.Environ(), "TOLLGATE_SERVE=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := fmt.Fscanln(out, &addr); err != nil {
		t.Fatal(err)
	}
	return addr
}

// TestServeInAProcessOfItsOwn is the target of startTarget; by itself it claims
// nothing.
func TestServeInAProcessOfItsOwn(t *testing.T) {
	if os.Getenv("TOLLGATE_SERVE") == "" {
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:2000")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(l.Addr())
	_ = http.Serve(l, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})) // until it is killed
}

func TestPortsThatRunOutAreOurFault(t *testing.T) {
	if !scarce(t) {
		return
	}
	addr := startTarget(t)
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("40000 40099"), 0); err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{driverLoop, driverConn} {
		allOurs(t, runAgainst(t, t.Context(), by, addr, specText("p: {think: 50ms..100ms, tasks: {a: 1}}", crowdOf200), 2), 100)
	}
}

func TestDescriptorsThatRunOutAreOurFault(t *testing.T) {
	if !scarce(t) {
		return
	}
	addr := startTarget(t)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 64, Max: 64}); err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{driverLoop, driverConn} {
		allOurs(t, runAgainst(t, t.Context(), by, addr, specText("p: {think: 50ms..100ms, tasks: {a: 1}}", crowdOf200), 2), 100)
	}
}

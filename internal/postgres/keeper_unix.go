//go:build unix

package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A keeper is a shell that runs a private server and outlives us by a moment.
// It holds the reading end of a pipe whose writing end is ours: however we end,
// the pipe ends with us, and then it kills the server and removes the folder.
// On the same pipe we send it the signal to end the server with, and then the
// folder stays.
//
// It has a process group of its own, so that Ctrl-C in a terminal reaches us
// first, and needs no goroutine of ours.
type keeper struct {
	binaries, password string
	settings           map[string]string
	owner              *syscall.Credential // nil: we ourselves
	home               string              // of the data, the log and nothing else
	port               int                 // 0: any free one

	process *exec.Cmd
	orders  *os.File // the writing end; nil while no server runs
}

// script runs as: sh -c script keeper BINARIES HOME SETTING...
const script = `
bin=$1 home=$2
shift 2
cd "$home" || exit
if [ ! -e data/PG_VERSION ]; then
	"$bin/initdb" -D data -U ` + superuser + ` --auth=scram-sha-256 --pwfile=password --encoding=UTF8 --no-locale --no-sync >initdb.log 2>&1 ||
		{ cat initdb.log >>log; exit 1; }
	rm -f password
fi
"$bin/postgres" -D data "$@" </dev/null 2>>log &
server=$!
exec >/dev/null # the pipe to our parent is now the server's alone
if read -r signal; then
	kill -"$signal" "$server"
	wait "$server"
else
	kill -QUIT "$server"
	wait "$server"
	cd /
	rm -rf "$home"
fi
`

func newKeeper(binaries, password string, settings map[string]string) (*keeper, error) {
	owner, err := unprivileged()
	if err != nil {
		return nil, err
	}
	within := os.TempDir()
	if owner != nil && !openTo(within) {
		within = "/tmp"
	}
	home, err := os.MkdirTemp(within, "tollgate-postgres-")
	if err != nil {
		return nil, err
	}
	k := &keeper{binaries: binaries, password: password, settings: settings, owner: owner, home: home}
	file := filepath.Join(home, "password")
	err = os.WriteFile(file, []byte(password), 0o600)
	if owner != nil {
		err = errors.Join(err, os.Chown(file, int(owner.Uid), int(owner.Gid)), os.Chown(home, int(owner.Uid), int(owner.Gid)))
	}
	if err != nil {
		os.RemoveAll(home)
		return nil, err
	}
	return k, nil
}

// unprivileged is who the server runs as when we are root, whom it refuses.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{superuser, "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errU := strconv.ParseUint(u.Uid, 10, 32)
		gid, errG := strconv.ParseUint(u.Gid, 10, 32)
		if errU == nil && errG == nil && uid != 0 {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody: run this as another user")
}

var errPortTaken = errors.New("the port was taken")

// start starts the server and waits until it answers.
func (k *keeper) start(ctx context.Context) error {
	if k.orders != nil {
		return errors.New("the private PostgreSQL runs already")
	}
	if k.port == 0 {
		k.port = freePort()
	}
	// The server writes a new one; an old one could be taken for it.
	os.Remove(filepath.Join(k.home, "data", "postmaster.pid"))
	log, err := os.OpenFile(filepath.Join(k.home, "log"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	if k.owner != nil {
		if err := log.Chown(int(k.owner.Uid), int(k.owner.Gid)); err != nil {
			return err
		}
	}
	reading, writing, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reading.Close()
	ended, server, err := os.Pipe()
	if err != nil {
		writing.Close()
		return err
	}
	defer ended.Close()

	cmd := exec.Command("/bin/sh", append([]string{"-c", script, "keeper", k.binaries, k.home}, k.flags()...)...)
	cmd.Dir = k.home
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "HOME=" + k.home, "TZ=UTC"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = reading, server, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: k.owner}
	err = cmd.Start()
	server.Close()
	if err != nil {
		writing.Close()
		return fmt.Errorf("starting PostgreSQL: %w", err)
	}
	k.process, k.orders = cmd, writing
	if err := k.ready(ctx, ended); err != nil {
		k.stop("QUIT")
		return err
	}
	return nil
}

// flags are the settings of a server that is to be quick and to leave no trace.
func (k *keeper) flags() []string {
	settings := map[string]string{
		"port":                    strconv.Itoa(k.port),
		"listen_addresses":        loopback,
		"unix_socket_directories": "",
		"max_connections":         "200",
		"fsync":                   "off",
		"full_page_writes":        "off",
		"wal_level":               "minimal",
		"max_wal_senders":         "0",
		"jit":                     "off",
		"log_checkpoints":         "off",
		"log_timezone":            "UTC",
		"timezone":                "UTC",
	}
	for name, value := range k.settings {
		settings[name] = value
	}
	var flags []string
	for name, value := range settings {
		flags = append(flags, "--"+name+"="+value)
	}
	slices.Sort(flags)
	return flags
}

// ready waits until the server says in its pid file that it answers. The pipe
// ends when it has ended instead.
func (k *keeper) ready(ctx context.Context, ended *os.File) error {
	const between = 10 * time.Millisecond
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("starting PostgreSQL: %w; its log says: %s", context.Cause(ctx), k.lastWords())
		}
		// Debian's, Homebrew's and all others' since version 10: the state is line 8.
		text, _ := os.ReadFile(filepath.Join(k.home, "data", "postmaster.pid"))
		if lines := bytes.Split(text, []byte("\n")); len(lines) > 7 && string(bytes.TrimSpace(lines[7])) == "ready" {
			return nil
		}
		ended.SetReadDeadline(time.Now().Add(between))
		if _, err := ended.Read(make([]byte, 512)); errors.Is(err, io.EOF) {
			words := k.lastWords()
			if strings.Contains(words, "Address already in use") {
				return errPortTaken
			}
			return fmt.Errorf("PostgreSQL did not start: %s", words)
		}
	}
}

// lastWords are the last lines of the log, as one.
func (k *keeper) lastWords() string {
	text, err := os.ReadFile(filepath.Join(k.home, "log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-6):], "; ")
}

// stop ends the server with a signal; its folder stays.
func (k *keeper) stop(signal string) error {
	if k.orders == nil {
		return nil
	}
	k.orders.WriteString(signal + "\n")
	return k.over()
}

// remove ends the server and removes its folder.
func (k *keeper) remove() error {
	if k.orders != nil {
		if err := k.over(); err != nil {
			return err
		}
	}
	return os.RemoveAll(k.home)
}

// over closes the pipe of orders and waits for the keeper, whose exit code is
// the server's and says nothing: it was killed.
func (k *keeper) over() error {
	k.orders.Close()
	k.orders = nil
	var code *exec.ExitError
	if err := k.process.Wait(); err != nil && !errors.As(err, &code) {
		return err
	}
	return nil
}

// openTo says whether everybody may walk to a folder: a server that runs as
// another user has to.
func openTo(dir string) bool {
	for {
		info, err := os.Stat(dir)
		if err != nil || info.Mode()&0o001 == 0 {
			return false
		}
		above := filepath.Dir(dir)
		if above == dir {
			return true
		}
		dir = above
	}
}

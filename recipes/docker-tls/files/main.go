// Certificates keeps in a folder what TLS between a container engine and its clients needs: an authority
// (ca.pem, cakey.pem), the server's certificate for this machine's names and addresses (server.pem,
// serverkey.pem) and one for clients (cert.pem, key.pem). It makes what is not there, and makes anew what
// would not be accepted: for an address that the machine did not have, of another authority, or about to
// expire. The names are boot2docker's, whose own are used on.
//
// Each line of its output tells what was made and why. With -ends it makes nothing, and looks at a file. It ends with 0; 1 when something could not be done, with
// a line that tells what; 2 for wrong words.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

const (
	authorityDays = 3650
	// The longest that some systems accept.
	leafDays = 825
	// What is left at least after a start, so that a machine that runs for a year is not cut off.
	daysLeft = 400
)

// A clock that was never set must not make certificates that expired long ago.
var clockFloor = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Interfaces that engines make: their addresses are nobody's way to this machine, and change with every network.
var engineInterfaces = []string{"docker", "br-", "veth", "podman", "cni", "vnet", "virbr", "flannel", "dummy"}

type names []string

func (n *names) String() string { return strings.Join(*n, " ") }

func (n *names) Set(value string) error {
	if value == "" || strings.ContainsAny(value, " \t\r\n/") {
		return errors.New("neither a name nor an address")
	}
	*n = append(*n, value)
	return nil
}

func main() {
	flags := flag.NewFlagSet("certificates", flag.ContinueOnError)
	var more names
	flags.Var(&more, "name", "a further name or address that clients use (repeatable)")
	ends := flags.Int("ends", 0, "make nothing; print on which day the certificate FILE ends, if that is within so many days")
	flags.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: certificates [-name NAME]... FOLDER, certificates -ends DAYS FILE")
		flags.PrintDefaults()
	}
	if err := flags.Parse(os.Args[1:]); err != nil {
		os.Exit(2)
	}
	if flags.NArg() != 1 || flags.Arg(0) == "" {
		flags.Usage()
		os.Exit(2)
	}
	now := time.Now().UTC()
	if now.Before(clockFloor) {
		now = clockFloor
	}
	if *ends > 0 {
		day, err := endsWithin(flags.Arg(0), now, *ends)
		if err != nil {
			fmt.Fprintln(os.Stderr, "certificates:", err)
			os.Exit(1)
		}
		fmt.Print(day)
		return
	}
	store := store{folder: flags.Arg(0), now: now, tell: func(text string) { fmt.Println(text) }}
	if err := store.ensure(subjectsOf(more)); err != nil {
		fmt.Fprintln(os.Stderr, "certificates:", err)
		os.Exit(1)
	}
}

// subjectsOf returns all names and addresses of this machine.
func subjectsOf(more []string) subjects {
	var found subjects
	found.add("localhost", "127.0.0.1", "::1")
	if host, err := os.Hostname(); err == nil && host != "" && host != "(none)" {
		found.add(host)
	}
	found.add(more...)
	interfaces, err := net.Interfaces()
	if err != nil {
		return found
	}
	for _, one := range interfaces {
		if one.Flags&net.FlagUp == 0 || isEngines(one.Name) {
			continue
		}
		addresses, err := one.Addrs()
		if err != nil {
			continue
		}
		for _, address := range addresses {
			if network, ok := address.(*net.IPNet); ok && network.IP.IsGlobalUnicast() {
				found.add(network.IP.String())
			}
		}
	}
	return found
}

func isEngines(name string) bool {
	for _, prefix := range engineInterfaces {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

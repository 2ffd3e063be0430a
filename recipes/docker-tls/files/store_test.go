package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type machine struct {
	*testing.T
	folder string
	now    time.Time
	told   []string
}

func newMachine(t *testing.T) *machine {
	return &machine{T: t, folder: filepath.Join(t.TempDir(), "tls"), now: time.Now()}
}

func of(values ...string) subjects {
	var wanted subjects
	wanted.add(values...)
	return wanted
}

func (m *machine) ensure(values ...string) error {
	m.told = nil
	store := store{folder: m.folder, now: m.now, tell: func(text string) { m.told = append(m.told, text) }}
	return store.ensure(of(values...))
}

func (m *machine) must(values ...string) {
	m.Helper()
	if err := m.ensure(values...); err != nil {
		m.Fatal(err)
	}
}

func (m *machine) says(words ...string) {
	m.Helper()
	text := strings.Join(m.told, "\n")
	for _, word := range words {
		if !strings.Contains(text, word) {
			m.Fatalf("%q is not in:\n%s", word, text)
		}
	}
	if len(words) == 0 && text != "" {
		m.Fatalf("said: %s", text)
	}
}

func (m *machine) path(name string) string { return filepath.Join(m.folder, name+".pem") }

func (m *machine) read(name string) string {
	data, err := os.ReadFile(m.path(name))
	if err != nil {
		m.Fatal(err)
	}
	return string(data)
}

func (m *machine) write(name, text string) {
	if err := os.WriteFile(m.path(name), []byte(text), 0o600); err != nil {
		m.Fatal(err)
	}
}

// talk has a client and a server shake hands as the engine and its clients do.
func (m *machine) talk(client, name string) error {
	m.Helper()
	load := func(folder, certificate, key string) tls.Certificate {
		found, err := tls.LoadX509KeyPair(filepath.Join(folder, certificate+".pem"), filepath.Join(folder, key+".pem"))
		if err != nil {
			m.Fatal(err)
		}
		return found
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(m.read("ca")))
	here, there := net.Pipe()
	deadline := time.Now().Add(10 * time.Second)
	here.SetDeadline(deadline)
	there.SetDeadline(deadline)
	clock := func() time.Time { return m.now }
	server := tls.Server(here, &tls.Config{
		Certificates: []tls.Certificate{load(m.folder, "server", "serverkey")},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool, Time: clock,
	})
	caller := tls.Client(there, &tls.Config{
		Certificates: []tls.Certificate{load(client, "cert", "key")}, RootCAs: pool, ServerName: name, Time: clock,
	})
	done := make(chan error, 1)
	go func() {
		err := server.Handshake()
		if err == nil {
			_, err = server.Write([]byte("x"))
		}
		here.Close()
		done <- err
	}()
	_, err := io.ReadAll(caller)
	return errors.Join(err, <-done)
}

func TestAClientIsTakenAndAnotherMachinesIsNot(t *testing.T) {
	m, other := newMachine(t), newMachine(t)
	m.must("box", "192.0.2.7", "2001:db8::7")
	m.says("server: made", "cert: made")
	other.must("box")
	for _, name := range []string{"box", "192.0.2.7", "2001:db8::7"} {
		if err := m.talk(m.folder, name); err != nil {
			t.Fatal(name, err)
		}
	}
	if m.talk(m.folder, "elsewhere") == nil {
		t.Fatal("a name that the certificate is not for was taken")
	}
	if m.talk(other.folder, "box") == nil {
		t.Fatal("a client of another machine was taken")
	}
	for _, name := range []string{"cakey", "serverkey", "key"} {
		if info, _ := os.Stat(m.path(name)); info.Mode() != 0o600 {
			t.Fatal(name, info.Mode())
		}
	}
}

func TestNothingChangesWithoutNeed(t *testing.T) {
	m := newMachine(t)
	m.must("box", "192.0.2.7")
	before := m.read("server") + m.read("cert") + m.read("ca")
	m.must("192.0.2.7")
	m.says()
	if before != m.read("server")+m.read("cert")+m.read("ca") {
		t.Fatal("certificates were made again")
	}
}

func TestANewAddressRenewsTheServersOnly(t *testing.T) {
	m := newMachine(t)
	m.must("box", "192.0.2.7")
	ca, cert, server := m.read("ca"), m.read("cert"), m.read("server")
	m.must("box", "192.0.2.8")
	m.says("server: renewed, for it was not made for 192.0.2.8")
	if ca != m.read("ca") || cert != m.read("cert") || server == m.read("server") {
		t.Fatal("another certificate than the server's was renewed")
	}
}

func TestWhatExpiresIsRenewed(t *testing.T) {
	m := newMachine(t)
	m.must("box")
	ca := m.read("ca")
	m.now = m.now.AddDate(0, 0, leafDays-daysLeft+1)
	m.must("box")
	m.says("server: renewed, for its time ends on", "cert: renewed")
	if ca != m.read("ca") {
		t.Fatal("the authority was renewed")
	}
	m.now = m.now.AddDate(0, 0, authorityDays-daysLeft)
	m.must("box")
	m.says("ca: its time ends", "server: made anew, for it would be refused", "cert: made anew")
	if err := m.talk(m.folder, "box"); err != nil {
		t.Fatal(err)
	}
}

func TestDamageIsPutAsideAndTold(t *testing.T) {
	for _, junk := range []string{"", "-----BEGIN CERTIFICATE-----\nMII", "\x00\xff", "-----BEGIN X-----\nAAAA\n-----END X-----\n"} {
		m := newMachine(t)
		m.must("box")
		for _, name := range []string{"server", "serverkey", "key"} {
			m.write(name, junk)
			m.must("box")
			m.says(name+".pem: ", "is kept as "+name+".pem.old", "made")
			if err := m.talk(m.folder, "box"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestKeysThatDoNotBelongTogether(t *testing.T) {
	m, other := newMachine(t), newMachine(t)
	m.must("box")
	other.must("box")
	m.write("serverkey", other.read("serverkey"))
	m.must("box")
	m.says("serverkey.pem: not the key of server.pem", "server: made")
	if err := m.talk(m.folder, "box"); err != nil {
		t.Fatal(err)
	}
}

func TestAnAuthorityWithoutItsKeyWorksUntilSomethingHasToBeSigned(t *testing.T) {
	m := newMachine(t)
	m.must("box")
	os.Remove(m.path("cakey"))
	m.must("box")
	m.says()
	if err := m.ensure("box", "192.0.2.9"); err == nil || !strings.Contains(err.Error(), "there is no ") {
		t.Fatal(err)
	}
	if err := m.talk(m.folder, "box"); err != nil {
		t.Fatal(err)
	}
}

func TestAKeyWithoutItsAuthority(t *testing.T) {
	m := newMachine(t)
	m.must("box")
	os.Remove(m.path("ca"))
	if err := m.ensure("box"); err == nil || !strings.Contains(err.Error(), "ca.pem is not") {
		t.Fatal(err)
	}
}

func TestAnAuthorityOfOpenssl(t *testing.T) {
	m := newMachine(t)
	m.must("box")
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(m.read("ca")))
	template, _ := x509.ParseCertificate(block.Bytes)
	template.SignatureAlgorithm, template.PublicKey, template.SubjectKeyId, template.AuthorityKeyId = 0, nil, nil, nil
	encoded, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	m.write("ca", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: encoded})))
	m.write("cakey", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
	m.must("box")
	m.says("server: made anew", "cert: made anew")
	if err := m.talk(m.folder, "box"); err != nil {
		t.Fatal(err)
	}
}

func TestAFolderThatCannotBeMade(t *testing.T) {
	m := newMachine(t)
	if err := os.WriteFile(m.folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if m.ensure("box") == nil {
		t.Fatal("no error")
	}
}

func TestWhatEndsSoonIsTold(t *testing.T) {
	m := newMachine(t)
	m.must("localhost")
	file := filepath.Join(m.folder, "server.pem")
	last := m.now.AddDate(0, 0, leafDays)
	for days, want := range map[int]string{30: "", leafDays - 1: "", leafDays + 1: last.UTC().Format(time.DateOnly) + "\n"} {
		if day, err := endsWithin(file, m.now, days); err != nil || day != want {
			t.Fatalf("%d days: %q, %v", days, day, err)
		}
	}
	if day, err := endsWithin(file, last.AddDate(0, 0, 9), 30); err != nil || day == "" {
		t.Fatalf("over already: %q, %v", day, err)
	}
	for _, wrong := range []string{filepath.Join(m.folder, "serverkey.pem"), filepath.Join(m.folder, "none.pem")} {
		if _, err := endsWithin(wrong, m.now, 30); err == nil {
			t.Fatal(wrong, "is no certificate")
		}
	}
}

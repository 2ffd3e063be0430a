package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// subjects are what a server is called by.
type subjects struct {
	names     []string
	addresses []net.IP
}

func (s *subjects) add(values ...string) {
	for _, value := range values {
		if address := net.ParseIP(value); address != nil {
			if !s.hasAddress(address) {
				s.addresses = append(s.addresses, address)
			}
		} else if !slices.Contains(s.names, value) {
			s.names = append(s.names, value)
		}
	}
}

func (s *subjects) hasAddress(address net.IP) bool {
	return slices.ContainsFunc(s.addresses, address.Equal)
}

// missing returns the first of other that s lacks.
func (s *subjects) missing(other subjects) string {
	for _, name := range other.names {
		if !slices.Contains(s.names, name) {
			return name
		}
	}
	for _, address := range other.addresses {
		if !s.hasAddress(address) {
			return address.String()
		}
	}
	return ""
}

// pair is a certificate and its key; key is nil where only the certificate is there.
type pair struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// store is a folder of certificates.
type store struct {
	folder string
	now    time.Time
	tell   func(text string)
}

// ensure makes what is missing and what would not be accepted any more.
func (s *store) ensure(wanted subjects) error {
	if err := os.MkdirAll(s.folder, 0o755); err != nil {
		return err
	}
	authority, err := s.authority()
	if err != nil {
		return err
	}
	server := x509.Certificate{
		Subject:     pkix.Name{CommonName: "container host"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    wanted.names,
		IPAddresses: wanted.addresses,
	}
	if err := s.leaf("server", "serverkey", authority, server, wanted); err != nil {
		return err
	}
	client := x509.Certificate{
		Subject:     pkix.Name{CommonName: "client of a container host"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	return s.leaf("cert", "key", authority, client, subjects{})
}

// authority returns what certificates are signed with. One whose key was taken away is somebody's own: it is
// left as it is, and works for as long as the certificates do.
func (s *store) authority() (pair, error) {
	found, err := s.read("ca", "cakey")
	if err != nil {
		return pair{}, err
	}
	switch {
	case found.certificate == nil && found.key == nil:
	case found.certificate == nil:
		return pair{}, fmt.Errorf("%s is there and ca.pem is not: put it back, or remove the key to have all made anew", s.path("cakey"))
	case !found.certificate.IsCA:
		return pair{}, fmt.Errorf("%s is no certificate of an authority", s.path("ca"))
	case found.key == nil:
		return found, nil
	case found.certificate.NotAfter.Before(s.now.AddDate(0, 0, daysLeft)):
		s.tell("ca: its time ends; a new one is made, and clients need its certificate")
		found = pair{}
	default:
		return found, nil
	}
	template := x509.Certificate{
		Subject:               pkix.Name{CommonName: "authority of a container host"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return s.make("ca", "cakey", template, nil, authorityDays)
}

// leaf has a certificate of the authority in the folder.
func (s *store) leaf(name, keyName string, authority pair, template x509.Certificate, wanted subjects) error {
	found, err := s.read(name, keyName)
	if err != nil {
		return err
	}
	reason := s.unfit(found, authority, template.ExtKeyUsage, wanted)
	if reason == "" {
		return nil
	}
	if authority.key == nil {
		return fmt.Errorf("%s: %s, and there is no %s to sign a new one with", s.path(name), reason, s.path("cakey"))
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.BasicConstraintsValid = true
	if _, err := s.make(name, keyName, template, &authority, leafDays); err != nil {
		return err
	}
	s.tell(name + ": " + reason)
	return nil
}

// unfit returns why a certificate would not be accepted, or nothing.
func (s *store) unfit(found, authority pair, usage []x509.ExtKeyUsage, wanted subjects) string {
	if found.certificate == nil || found.key == nil {
		return "made"
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority.certificate)
	_, err := found.certificate.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: s.now, KeyUsages: usage})
	if err != nil {
		return "made anew, for it would be refused: " + err.Error()
	}
	if found.certificate.NotAfter.Before(s.now.AddDate(0, 0, daysLeft)) {
		return "renewed, for its time ends on " + found.certificate.NotAfter.Format(time.DateOnly)
	}
	has := subjects{names: found.certificate.DNSNames, addresses: found.certificate.IPAddresses}
	if missing := has.missing(wanted); missing != "" {
		return "renewed, for it was not made for " + missing
	}
	return ""
}

// make writes a new certificate and key; signer is nil for one that signs itself.
func (s *store) make(name, keyName string, template x509.Certificate, signer *pair, days int) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return pair{}, err
	}
	// Clients' clocks may be behind.
	template.NotBefore = s.now.AddDate(0, 0, -2)
	template.NotAfter = s.now.AddDate(0, 0, days)
	if signer == nil {
		signer = &pair{certificate: &template, key: key}
	} else if template.NotAfter.After(signer.certificate.NotAfter) {
		template.NotAfter = signer.certificate.NotAfter
	}
	encoded, err := x509.CreateCertificate(rand.Reader, &template, signer.certificate, &key.PublicKey, signer.key)
	if err != nil {
		return pair{}, err
	}
	encodedKey, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return pair{}, err
	}
	// The key first: where the power fails between the two they do not belong together, and are made again.
	if err := s.write(keyName, "PRIVATE KEY", encodedKey, 0o600); err != nil {
		return pair{}, err
	}
	if err := s.write(name, "CERTIFICATE", encoded, 0o644); err != nil {
		return pair{}, err
	}
	certificate, err := x509.ParseCertificate(encoded)
	return pair{certificate: certificate, key: key}, err
}

func (s *store) path(name string) string {
	return filepath.Join(s.folder, name+".pem")
}

// write replaces a file as a whole, on the disk before it has its name.
func (s *store) write(name, kind string, data []byte, mode fs.FileMode) error {
	path := s.path(name)
	file, err := os.CreateTemp(s.folder, "."+name+".*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	err = errors.Join(
		pem.Encode(file, &pem.Block{Type: kind, Bytes: data}),
		file.Chmod(mode),
		file.Sync(),
		file.Close(),
	)
	if err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// read returns what is there. What cannot be read as PEM is put aside and told, as if it were not there; a key
// that does not belong to the certificate, likewise.
func (s *store) read(name, keyName string) (pair, error) {
	var found pair
	block, err := s.block(name)
	if err != nil {
		return pair{}, err
	}
	if block != nil {
		if found.certificate, err = x509.ParseCertificate(block.Bytes); err != nil {
			if err := s.aside(name, "no certificate"); err != nil {
				return pair{}, err
			}
		}
	}
	if block, err = s.block(keyName); err != nil || block == nil {
		return found, err
	}
	if found.key = parseKey(block); found.key == nil {
		return found, s.aside(keyName, "no key that can be read")
	}
	if found.certificate != nil && !sameKey(found) {
		found.key = nil
		return found, s.aside(keyName, "not the key of "+name+".pem")
	}
	return found, nil
}

func sameKey(one pair) bool {
	public, ok := one.key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(one.certificate.PublicKey)
}

// parseKey reads the forms in which keys are found: those made here, and those of openssl.
func parseKey(block *pem.Block) crypto.Signer {
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		found, _ := key.(crypto.Signer)
		return found
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key
	}
	return nil
}

// block returns the first PEM block of a file; nil where there is no file, or none that could be read.
func (s *store) block(name string) (*pem.Block, error) {
	data, err := os.ReadFile(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(data); block != nil {
		return block, nil
	}
	return nil, s.aside(name, "damaged")
}

func (s *store) aside(name, why string) error {
	s.tell(fmt.Sprintf("%s.pem: %s; it is kept as %s.pem.old", name, why, name))
	return os.Rename(s.path(name), s.path(name)+".old")
}

// endsWithin returns the day on which a certificate ends as a line, or nothing where more days than these are left.
func endsWithin(path string, now time.Time, days int) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return "", fmt.Errorf("%s: there is no certificate in it", path)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if certificate.NotAfter.After(now.AddDate(0, 0, days)) {
		return "", nil
	}
	return certificate.NotAfter.Format(time.DateOnly) + "\n", nil
}

# The Debian package. -o all: what is to be packaged was built already, and a test of it must not
# build again what other tests are running.
DEB = $(B)/vios_$(VERSION)_$(shell dpkg --print-architecture).deb

.PHONY: deb
deb: all ## a Debian package below build/, without debhelper
	@packaging/deb.sh '$(B)' '$(VERSION)' '$(DEB)'
	@echo '$(DEB)'

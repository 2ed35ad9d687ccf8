// Linked into the programs that run under Wine: where its verification of certificates knows less
// than rustls-platform-verifier expects of Windows. The linker has every call of the functions
// without `__wrap_` come here.
#include <windows.h>
#include <wincrypt.h>

#define IGNORE_REVOCATION 0x80 // SECURITY_FLAG_IGNORE_REVOCATION of wininet.h

typedef BOOL(WINAPI *create_engine)(PCERT_CHAIN_ENGINE_CONFIG, HCERTCHAINENGINE *);
typedef BOOL(WINAPI *verify_policy)(LPCSTR, PCCERT_CHAIN_CONTEXT, PCERT_CHAIN_POLICY_PARA,
                                    PCERT_CHAIN_POLICY_STATUS);

static void *of_wine(const char *name) {
    return (void *)GetProcAddress(LoadLibraryA("crypt32.dll"), name);
}

// The structure has one member more since Windows 8, which is always zero. Wine refuses it for its
// size.
BOOL WINAPI __wrap_CertCreateCertificateChainEngine(PCERT_CHAIN_ENGINE_CONFIG config,
                                                    HCERTCHAINENGINE *engine) {
    CERT_CHAIN_ENGINE_CONFIG known = *config;
    known.cbSize = offsetof(CERT_CHAIN_ENGINE_CONFIG, dwExclusiveFlags);
    return ((create_engine)of_wine("CertCreateCertificateChainEngine"))(&known, engine);
}

// That nobody says whether a certificate was revoked is no error by the one flag on Windows, and by
// the other under Wine.
BOOL WINAPI __wrap_CertVerifyCertificateChainPolicy(LPCSTR policy, PCCERT_CHAIN_CONTEXT chain,
                                                    PCERT_CHAIN_POLICY_PARA parameters,
                                                    PCERT_CHAIN_POLICY_STATUS status) {
    if (policy == CERT_CHAIN_POLICY_SSL &&
        (parameters->dwFlags & CERT_CHAIN_POLICY_IGNORE_ALL_REV_UNKNOWN_FLAGS)) {
        SSL_EXTRA_CERT_CHAIN_POLICY_PARA *ssl = parameters->pvExtraPolicyPara;
        ssl->fdwChecks |= IGNORE_REVOCATION;
    }
    return ((verify_policy)of_wine("CertVerifyCertificateChainPolicy"))(policy, chain, parameters,
                                                                        status);
}

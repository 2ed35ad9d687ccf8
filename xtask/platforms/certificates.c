// Linked into the programs that run under Wine: where its verification of certificates knows less
// than rustls-platform-verifier expects of Windows. The linker has every call of the functions
// without `__wrap_` come here.
#include <windows.h>
#include <wincrypt.h>

#define IGNORE_REVOCATION 0x80 // SECURITY_FLAG_IGNORE_REVOCATION of wininet.h
#define IGNORE_NAME 0x1000     // SECURITY_FLAG_IGNORE_CERT_CN_INVALID

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

static BOOL is_address(LPCWSTR text, const BYTE *bytes) {
    for (int i = 0; i < 4; i++) {
        unsigned number = 0;
        while (*text >= '0' && *text <= '9')
            number = number * 10 + (*text++ - '0');
        if (number != bytes[i] || *text++ != (i < 3 ? '.' : 0))
            return FALSE;
    }
    return TRUE;
}

// Whether the certificate is for this host by its address, which Wine does not look for.
static BOOL is_for_address(PCCERT_CHAIN_CONTEXT chain, LPCWSTR host) {
    PCERT_INFO leaf = chain->rgpChain[0]->rgpElement[0]->pCertContext->pCertInfo;
    PCERT_EXTENSION extension =
        CertFindExtension(szOID_SUBJECT_ALT_NAME2, leaf->cExtension, leaf->rgExtension);
    CERT_ALT_NAME_INFO *names;
    DWORD size;
    if (!extension ||
        !CryptDecodeObjectEx(X509_ASN_ENCODING, X509_ALTERNATE_NAME, extension->Value.pbData,
                             extension->Value.cbData, CRYPT_DECODE_ALLOC_FLAG, NULL, &names, &size))
        return FALSE;
    BOOL is_found = FALSE;
    for (DWORD i = 0; i < names->cAltEntry; i++) {
        CERT_ALT_NAME_ENTRY *name = &names->rgAltEntry[i];
        if (name->dwAltNameChoice == CERT_ALT_NAME_IP_ADDRESS && name->IPAddress.cbData == 4)
            is_found |= is_address(host, name->IPAddress.pbData);
    }
    LocalFree(names);
    return is_found;
}

// That nobody says whether a certificate was revoked is no error by the one flag on Windows, and by
// the other under Wine, which on the other hand is content with a chain that ends nowhere.
BOOL WINAPI __wrap_CertVerifyCertificateChainPolicy(LPCSTR policy, PCCERT_CHAIN_CONTEXT chain,
                                                    PCERT_CHAIN_POLICY_PARA parameters,
                                                    PCERT_CHAIN_POLICY_STATUS status) {
    if (policy == CERT_CHAIN_POLICY_SSL) {
        SSL_EXTRA_CERT_CHAIN_POLICY_PARA *ssl = parameters->pvExtraPolicyPara;
        if (parameters->dwFlags & CERT_CHAIN_POLICY_IGNORE_ALL_REV_UNKNOWN_FLAGS)
            ssl->fdwChecks |= IGNORE_REVOCATION;
        if (is_for_address(chain, ssl->pwszServerName))
            ssl->fdwChecks |= IGNORE_NAME;
    }
    BOOL done = ((verify_policy)of_wine("CertVerifyCertificateChainPolicy"))(policy, chain,
                                                                             parameters, status);
    if (!status->dwError && (chain->TrustStatus.dwErrorStatus & CERT_TRUST_IS_PARTIAL_CHAIN))
        status->dwError = CERT_E_UNTRUSTEDROOT;
    return done;
}

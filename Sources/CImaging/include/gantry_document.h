// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef GANTRY_DOCUMENT_H
#define GANTRY_DOCUMENT_H

#include "gantry_imaging.h"

#ifdef __cplusplus
extern "C" {
#endif

// Structured reports and key object selections (PS3.3 A.35, C.17): the coded part of their content.
//
// Text is UTF-8 and never null: what is absent is empty. It belongs to the document.

typedef struct gi_document gi_document;

/// Reads the document of an open instance. What is kept are containers, codes and person names, as far as they are
/// reached from the root through containers and codes; nesting and number are bounded. On any other code than GI_OK
/// `*out` is null. The document does not need the instance any more.
int32_t gi_document_open(const gi_instance *instance, gi_document **out, gi_error *error);
void gi_document_close(gi_document *document);

enum {
    /// CompletionFlag (0040,A491)
    GI_DOCUMENT_COMPLETION = 0,
    /// VerificationFlag (0040,A493)
    GI_DOCUMENT_VERIFICATION = 1,
    /// PreliminaryFlag (0040,A496)
    GI_DOCUMENT_PRELIMINARY = 2,
    /// Of the last item of VerifyingObserverSequence (0040,A073): VerifyingObserverName (0040,A075)
    GI_DOCUMENT_VERIFIER = 3,
    /// Of the same item: VerificationDateTime (0040,A030)
    GI_DOCUMENT_VERIFIED_AT = 4,
    /// Of the first item of AuthorObserverSequence (0040,A078): PersonName (0040,A123)
    GI_DOCUMENT_AUTHOR = 5,
    /// ContentDate (0008,0023)
    GI_DOCUMENT_DATE = 6,
    /// ContentTime (0008,0033)
    GI_DOCUMENT_TIME = 7,
    /// TimezoneOffsetFromUTC (0008,0201)
    GI_DOCUMENT_ZONE = 8,
    GI_DOCUMENT_TEXTS = 9
};
const char *gi_document_text(const gi_document *document, int32_t which);

/// StudyInstanceUIDs of CurrentRequestedProcedureEvidenceSequence (0040,A375); null behind the last one.
const char *gi_document_study(const gi_document *document, size_t index);
/// SOPInstanceUIDs of PredecessorDocumentsSequence (0040,A360); null behind the last one.
const char *gi_document_predecessor(const gi_document *document, size_t index);

/// A code (PS3.3 section 8): CodingSchemeDesignator, CodeValue (or LongCodeValue, URNCodeValue), CodeMeaning.
typedef struct gi_code {
    const char *scheme;
    const char *value;
    const char *meaning;
} gi_code;

/// One content item (PS3.3 C.17.3).
typedef struct gi_content_item {
    /// Index of the item that contains it; −1 for the root. Items come after their parents.
    int32_t parent;
    /// RelationshipType (0040,A010)
    const char *relationship;
    /// ValueType (0040,A040)
    const char *value_type;
    /// ConceptNameCodeSequence (0040,A043)
    gi_code name;
    /// ConceptCodeSequence (0040,A168)
    gi_code code;
    /// PersonName (0040,A123)
    const char *person;
} gi_content_item;

/// Returns 1 and fills `out`, or 0 behind the last item.
int32_t gi_document_item(const gi_document *document, size_t index, gi_content_item *out);

#ifdef __cplusplus
}
#endif
#endif

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import java.nio.file.Files;
import java.nio.file.Path;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;

/** Validates each file of the arguments against FHIR R4, and prints a line for each error. */
public class Validate {
    public static void main(String[] files) throws Exception {
        FhirContext context = FhirContext.forR4();
        FhirInstanceValidator instance = new FhirInstanceValidator(new ValidationSupportChain(
            new DefaultProfileValidationSupport(context),
            new CommonCodeSystemsTerminologyService(context),
            new InMemoryTerminologyServerValidationSupport(context)));
        // UK Core's profiles are not on the class path: resources are held against base R4.
        instance.setErrorForUnknownProfiles(false);
        var validator = context.newValidator().registerValidatorModule(instance);
        for (String file : files) {
            var result = validator.validateWithResult(Files.readString(Path.of(file)));
            for (var message : result.getMessages()) {
                if (message.getSeverity().ordinal() >= ResultSeverityEnum.ERROR.ordinal()) {
                    System.out.println(Path.of(file).getFileName() + ": "
                        + message.getLocationString() + ": " + message.getMessage());
                }
            }
            System.out.println(Path.of(file).getFileName() + ": read");
        }
    }
}
